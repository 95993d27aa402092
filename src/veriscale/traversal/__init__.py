"""MAP-RPS: from the anchor of low distortion to a posterior draw, and the dial between them."""
