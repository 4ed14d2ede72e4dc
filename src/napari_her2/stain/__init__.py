"""What dyes do to light: colour and frequency of stained images, without torch."""
