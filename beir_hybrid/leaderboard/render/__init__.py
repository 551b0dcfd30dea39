"""What is made of a board: tables, a page and plots."""
