"""What every surface needs of the HTTP protocol: headers, ranges, forms, and the layers around a request."""
