"""One module per loss; `registry` lists them."""
