"""Scripts of the maintainers; none of them is part of the package."""
