"""One module per score; `registry` lists them."""
