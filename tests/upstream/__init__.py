"""Tests of the upstream room with real servers: uvicorn, nginx, and sockets that send arbitrary bytes."""
