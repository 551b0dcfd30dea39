"""The page about one model, or two side by side: figures with intervals, heat maps, and examples to read."""
