"""Content `image`: square images, grey or RGB."""
