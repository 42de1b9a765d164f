"""One module for each group of commands; `register` adds them to the application."""
