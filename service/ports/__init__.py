"""What the parts need of each other, as protocols. The composition root connects them."""
