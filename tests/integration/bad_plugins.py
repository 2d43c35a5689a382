"""Plugins that do what none should; written to a folder and imported by children alone."""

from __future__ import annotations

HEAD = """
import ctypes, json, logging, os, socket, subprocess, sys, time
from datetime import date
from decimal import Decimal
from sortation import (
    Batch, ConnectorManifest, Draft, RateLimited, ReauthRequired, Refusal, Statement, StreamCheck, Transient, hookimpl
)

def draft(n=0, **rest):
    return Draft(text=f"record {n}", occurred_at=date(2026, 1, 5), external_id=str(n), **rest)

def balance():
    return Statement(account="a", currency="EUR", opening=Decimal("1.10"), closing=None, total=Decimal("0.30"))

class Base:
    def detect(self, sample, filename):
        return 0.9 if sample.startswith(type(self).__name__.encode()) else 0.0
"""

CONNECTORS = {
    "Good": """print('said'); ctx.log.warning('logged')
        yield Batch(drafts=(draft(1), draft(2)), cursor={'at': 2}, statements=(balance(),))""",
    "Rambles": """much = 'x' * 100_000; ctx.log.error(f'first {much} last'); print(f'at first {much} at last')
        return; yield""",
    "Raises": "yield Batch(drafts=(draft(1),)); raise LookupError('no such luck')",
    "Exits": "sys.exit(3); yield",
    "Leaves": "yield Batch(drafts=(draft(1),)); os._exit(7)",
    "Crashes": "yield Batch(drafts=(draft(1),)); ctypes.string_at(0)",
    "Hangs": "yield Batch(drafts=(draft(1),)); time.sleep(600)",
    "Spins": "yield Batch(drafts=(draft(1),))\n        while True: pass",
    "Chatters": "yield Batch(drafts=(draft(1),))\n        while True: ctx.log.info('busy'); time.sleep(0.05)",
    "Wanders": "while True: ctx.http.request('GET', 'https://x.example/'); time.sleep(0.05)\n        yield",
    "Floods": "yield Batch(drafts=tuple(draft(n) for n in range(request.batch_size + 1)))",
    "Endless": "n = 0\n        while True:\n            n += 1; yield Batch(drafts=(draft(n),), cursor={'at': n})",
    "Leaks": "kept = []\n        while True: kept.append(bytearray(50 << 20))\n        yield",
    "Garbles": "[os.write(fd, b'no frame at all') for fd in range(3, 20) if _is_socket(fd)]; time.sleep(600); yield",
    "Mistakes": "yield Batch(drafts=('a text',))",
    "Amounts": "yield Batch(drafts=(draft(1, amount=1.5, currency='EUR'),))",
    "Moments": "yield Batch(drafts=(Draft(text='x', occurred_at=_Odd()),))",
    "Unencodable": "yield Batch(drafts=(draft(1, attributes={'x': object()}),))",
    "Huge": "yield Batch(drafts=(draft(1, attributes={'n': [2**70]}, raw={'half \\ud800': b'1'.decode()}),))",
    "Limited": "raise RateLimited('slowly', retry_after=7); yield",
    "Refused": "raise ReauthRequired('sign in again'); yield",
    "Own": "raise type('Mine', (Transient,), {})('soon'); yield",
    "Spies": """found = {}
        for name, look in {
            'environment': lambda: str(dict(os.environ)),
            'own': lambda: open('/proc/self/environ').read(),
            'host': lambda: open(f'/proc/{os.getppid()}/environ').read(),
            'secret': lambda: open(ctx.config['path']).read(),
            'folder': lambda: str(os.listdir(os.path.dirname(ctx.config['path']))),
            'socket': lambda: str(socket.socket(socket.AF_INET).connect(('127.0.0.1', int(ctx.config['port'])))),
            'unix': lambda: str(socket.socket(socket.AF_UNIX)),
            'write': lambda: str(open(ctx.config['path'], 'w')),
            'program': lambda: subprocess.check_output(['cat', ctx.config['path']]).decode(),
        }.items():
            try: found[name] = look()
            except Exception as error: found[name] = type(error).__name__
        with open('scratch', 'w') as file: file.write('mine')
        found['scratch'] = open('scratch').read()
        yield Batch(drafts=(draft(1, attributes=found),))""",
    "Patches": "json.loads = lambda *_: 0; Draft.__repr__ = lambda _: 'patched'; yield Batch(drafts=(draft(1),))",
    "Forks": """child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
        yield Batch(drafts=(draft(child.pid),)); time.sleep(600)""",
    "Detaches": """told, tell = os.pipe(); refused = ''
        if os.fork() == 0:
            try: os.setsid()
            except OSError as error: refused = type(error).__name__
            if os.fork() == 0:
                os.write(tell, f'{os.getpid()} {refused}'.encode())
                while True: pass
            os._exit(0)
        os.wait()
        pid, _, refused = os.read(told, 100).decode().partition(' ')
        yield Batch(drafts=(draft(pid, attributes={'refused': refused}),))
        while 'stays' in ctx.config: time.sleep(1)""",
    "Prints": """print('key', 7); print('a', end=''); print('b', 'c', sep='\\n'); print('broken off', end='')
        yield Batch(); raise LookupError('no such luck')""",
    "Asks": "got = ctx.http.request('GET', 'https://x.example/a', params={'q': '1'}, accept=[404])\n"
    "        yield Batch(drafts=(draft(got.status, attributes={'said': got.content.decode()}),))",
}

TAIL = """
class _Odd:
    def isoformat(self): return "tomorrow"

def _is_socket(fd):
    try: return __import__("stat").S_ISSOCK(os.fstat(fd).st_mode)
    except OSError: return False

@hookimpl
def sortation_connectors():
    return [
        ConnectorManifest(
            key=name.lower(), version="1", title=name, factory=f"bad_plugins_of_tests:{name}",
            file_extensions=(".bad",), config_schema={"type": "object"},
        )
        for name in NAMES
    ]
"""


def module() -> str:
    classes = [
        f"class {name}(Base):\n    def read(self, ctx, request):\n        {body}\n" for name, body in CONNECTORS.items()
    ]
    return "\n".join([HEAD, *classes, f"NAMES = {list(CONNECTORS)}", TAIL])


AT_LOADING = {
    "fails": "raise LookupError('no such luck')",
    "exits": "import sys; sys.exit(3)",
    "leaves": "import os; os._exit(3)",
    "crashes": "import ctypes; ctypes.string_at(0)",
    "hangs": "import time; time.sleep(600)",
    "patches": "import json, sortation; json.dumps = None; sortation.Draft = None",
}
