"""The page: one self-contained HTML file that steps through a derivation, and reads without script.

``document`` is the file itself, ``walk`` one derivation in it, ``listing`` the user's own lines.
"""

from allbps.page.document import Block, fragment, page
from allbps.page.walk import walk

__all__ = ["Block", "fragment", "page", "walk"]
