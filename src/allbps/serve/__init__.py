"""The living page: ``allbps serve`` answers a browser on this machine, and nobody else.

``app`` decides who is answered, ``worker`` is the process that computes and can be killed,
``derive`` what it computes: ``wanted`` is the request, ``subjects`` what there is to derive, and
``numbers`` the arrays that a reader changes.
"""
