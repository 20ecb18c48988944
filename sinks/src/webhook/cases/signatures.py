"""Prints signatures.tsv: secrets, id, timestamp, body in base64, signatures. Python's own hmac, nothing of Postlog."""

import base64
import hashlib
import hmac


def signed(secret: str, id: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


def secret(first: int, length: int) -> str:
    return "whsec_" + base64.b64encode(bytes((first + i) % 256 for i in range(length))).decode()


CASES = [
    # The specification's own example.
    (["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'),
    ([secret(0, 24)], "dlv_00000000000000000000000000000000", 0, b""),
    ([secret(1, 32)], "dlv_0afefff23521bdfcf4eae48bd660e0b0", 1700000000, b'{"subject":"hello"}'),
    ([secret(2, 64)], "dlv_0afefff23521bdfcf4eae48bd660e0b0", 1700000001, "grüße ☃ \u202e".encode()),
    ([secret(3, 24)], "dlv_a", 1700000002, bytes(range(256))),
    ([secret(4, 32), secret(200, 24)], "dlv_b", 1700000003, b"a.b.c\r\n"),
    ([secret(5, 33), secret(6, 34), secret(7, 35)], "dlv_c", 253402300799, b"."),
]

for secrets, id, timestamp, body in CASES:
    signatures = " ".join(signed(one, id, timestamp, body) for one in secrets)
    print("\t".join([" ".join(secrets), id, str(timestamp), base64.b64encode(body).decode(), signatures]))
