"""Heat maps, and fonts that have the letters."""
