"""How the picture is drawn: what stands on the cards, where they stand, and the SVG of it all."""
