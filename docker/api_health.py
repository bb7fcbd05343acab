"""Health of the API's container: exit code 0 when the service answers. Of the standard library only, so that it is quick."""

import os
import sys
import urllib.request

try:
    urllib.request.urlopen(
        f"http://127.0.0.1:{os.environ.get('VEDETTE_PORT', '8000')}/healthz", timeout=3
    ).close()
except OSError as error:
    sys.exit(f"the API does not answer: {error}")
