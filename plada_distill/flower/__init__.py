"""Federation over Flower's Message API: the client's app, the server's app, and a grid that calls the client's app in
this process. Importing this package imports nothing; its modules need ``flwr``."""
