"""The data path and the control path to other servers, against real ones: uvicorn, nginx and sockets that misbehave."""
