"""Reading tables from text files, Parquet, Excel and databases, and writing them."""
