"""A publisher of weights on this machine, honest or not."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def serving(
    body: bytes,
    *,
    status: int = 200,
    promised: int | None = None,
    ranges: bool = False,
    asked: list[str | None] | None = None,
    pause: float = 0.0,
) -> Iterator[str]:
    """The URL of a server that answers everything with `body`.

    Args:
        body: what is sent.
        status: of the answer.
        promised: length that the header states, if not that of the body.
        ranges: send the end of the body if that is asked for.
        asked: filled with the ranges that were asked for.
        pause: seconds between two bytes.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            if asked is not None:
                asked.append(wanted)
            start = int(wanted[6:-1]) if wanted and ranges else 0
            self.send_response(206 if start else status)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(promised or len(body) - start))
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):
                for byte in body[start:] if pause else (body[start:],):
                    self.wfile.write(bytes([byte]) if pause else byte)
                    time.sleep(pause)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
