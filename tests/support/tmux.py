"""A terminal with a shell in it, kept by tmux: keys in, screens out."""

import itertools
import os
import shlex
import shutil

from .hosts import new_folder, run
from .poll import wait_until

_serial = itertools.count(1)


class Terminal:
    """With a server of its own, that ends with it. The shell says "$ " when it waits for a command."""

    def __init__(self, columns=100, lines=30, environment=None):
        self._folder = new_folder("tmux")
        self._server = f"nfsteer-{os.getpid()}-{next(_serial)}"
        # TERM: what tmux is started in says nothing of what runs in it.
        settings = {"PS1": "$ ", "LC_ALL": "C.UTF-8", **(environment or {})}
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", columns, "-y", lines,
                   f"exec env {words} sh -i")
        try:
            wait_until(lambda: self.screen().startswith("$"), "the shell is ready")
        except BaseException:
            self.close()
            raise

    def _tmux(self, *words, check=True):
        return run("env", "-u", "TMUX", f"TMUX_TMPDIR={self._folder}", "TERM=xterm", "LC_ALL=C.UTF-8",
                   "tmux", "-L", self._server, *words, check=check)

    def screen(self, styles=False):
        return self._tmux("capture-pane", "-p", *(["-e"] if styles else [])).stdout

    def rows(self):
        return self.screen().splitlines()

    def keys(self, *names):
        """As tmux names them: "q", "C-c", "Down", "Enter"."""
        self._tmux("send-keys", *names)

    def type(self, text):
        self._tmux("send-keys", "-l", text)

    def command(self, *words):
        self.type(shlex.join(str(word) for word in words))
        self.keys("Enter")

    def resize(self, columns, lines):
        self._tmux("resize-window", "-x", columns, "-y", lines)

    def has_cursor(self):
        return self._value("cursor_flag") == "1"

    def has_alternate_screen(self):
        return self._value("alternate_on") == "1"

    def _value(self, name):
        return self._tmux("display-message", "-p", f"#{{{name}}}").stdout.strip()

    def pid(self):
        """Of the shell."""
        return int(self._value("pane_pid"))

    def shows(self, *texts, seconds=15.0):
        """Waits until the screen shows them all; returns it."""
        return self.until(lambda screen: all(text in screen for text in texts), f"the screen shows {texts}", seconds)

    def until(self, condition, what, seconds=15.0):
        """Waits until condition(screen); returns that screen."""
        def holds():
            screen = self.screen()
            return screen if condition(screen) else None
        return wait_until(holds, lambda: f"{what}; it shows\n{self.screen()}", seconds, interval=0.05)

    def close(self):
        self._tmux("kill-server", check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
