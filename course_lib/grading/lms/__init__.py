"""Learning management systems, one module each: how its download is recognised, and what it takes back."""
