"""One module per file format, each with its `Format`; `registry` lists them."""
