"""The rank table: what is kept of an evaluation, and all that figures are computed from."""
