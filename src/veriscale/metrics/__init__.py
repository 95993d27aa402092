"""Numbers about restored pictures: distortion, perception, uncertainty, and intervals on all of them."""
