"""A page of examples for Redis, which is emptied before each."""

import os

import redis

import page
from page import error_of

HOST, PORT = os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"])
URL = f"redis://{HOST}:{PORT}/0"

__all__ = ["HOST", "PORT", "URL", "Page", "error_of"]


class Page(page.Page):
    def before(self):
        with redis.Redis(HOST, PORT) as server:
            server.flushall()
