"""What python.cpp measures."""

import nfsteer


class ByTable(nfsteer.Policy):
    """The shares of weighted-random, by chance too."""

    def build(self, backends):
        return nfsteer.Table([each for each in backends for _ in range(each.weight)], by="random")


class Refreshed(ByTable):
    refresh_s = 60


class PerFlow(nfsteer.Policy):
    per_flow = True

    def build(self, backends):
        self.usable = [each.index for each in backends if each.weight > 0]

    def pick(self, flow):
        return self.usable[flow.source_port % len(self.usable)]
