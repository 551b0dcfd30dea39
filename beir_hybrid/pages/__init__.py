"""What the HTML pages share: one look, one way to be written, and figures as text and as small charts."""
