"""The shapes of resources and the means to check them."""
