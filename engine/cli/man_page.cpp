#include "cli/man_page.hpp"

#include <cctype>
#include <map>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/command_tree.hpp"
#include "control/version.hpp"

namespace nfsteer::cli {
namespace {

// An option that so many commands share is described once for all of them.
constexpr unsigned kCommonMin = 3;

constexpr const char* kIntroduction = R"roff(.SH DESCRIPTION
.B nfsteer
steers traffic aimed at a virtual IP address (VIP) to backends.
The kernel hands the first packet of each connection to the engine through NFQUEUE; a balancing policy picks a backend,
the engine writes its address into the packet, and connection tracking carries the rest of the connection, both ways,
in the kernel.
.PP
.B nfsteer run
is the engine.
It needs CAP_NET_ADMIN and CAP_NET_RAW, and the legacy iptables tables of the kernel.
The commands that ask for
.B \-\-control
speak to a running engine over its control socket.
What they change lasts until the next reload or start: the file is the truth.
.PP
A killed engine leaves rules that go on balancing new connections (the
.IR ladder );
open connections live on in any case.
)roff";

constexpr const char* kAfterwords = R"roff(.SH SERVICE
As a service of
.BR systemd (1)
the engine is of
.IR Type=notify :
it says when it steers, when it reloads and when it stops, shows its status in
.BR "systemctl status" ,
and feeds the watchdog only while each of its workers makes progress.
.SH SIGNALS
.TP
.B SIGHUP
Read the file again. A wrong file changes nothing.
.TP
.BR SIGTERM ", " SIGINT
Take the queue rules out, answer every packet that is still queued, and end. The ladder stays, or goes with
.BR "\-\-on\-stop remove" .
.SH "EXIT STATUS"
.TP
.B 0
Done.
.TP
.B 1
The system is at fault: privileges, the kernel, another engine.
.TP
.B 2
The command line or the configuration is.
.PP
Every error is one line: the thing, the reason, the mend.
.SH ENVIRONMENT
.TP
.B NFSTEER_CONTROL
Stands for
.BR \-\-control .
.TP
.B XTABLES_LOCKFILE
The lock that all users of the legacy tables take, as in
.BR iptables (8).
.TP
.BR NOTIFY_SOCKET ", " WATCHDOG_USEC ", " WATCHDOG_PID ", " JOURNAL_STREAM
Set by
.BR systemd (1)
for
.BR "nfsteer run" .
.SH FILES
.TP
.I /etc/nfsteer/nfsteer.yaml
What the service runs with. JSON is YAML, too.
.TP
.I /run/nfsteer/control.sock
The control socket, mode 0660: HTTP and JSON.
.TP
.I /run/xtables.lock
The lock of the legacy tables.
.SH EXAMPLES
One service, in the foreground; the second backend gets three connections of four:
.PP
.RS 4
.EX
nfsteer run \-\-vip 10.0.0.40 \-\-backend 10.0.0.20 \-\-backend 10.0.0.30,weight=3
.EE
.RE
.PP
Is a file right, and what would it change?
.PP
.RS 4
.EX
nfsteer check /etc/nfsteer/nfsteer.yaml
nfsteer diff /etc/nfsteer/nfsteer.yaml
.EE
.RE
.SH "SEE ALSO"
.BR iptables (8),
.BR iptables\-extensions (8),
.BR conntrack (8),
.BR systemd.service (5)
)roff";

// Text as it is: a dash is a minus to copy, a backslash itself, and no line is a request.
std::string roff(std::string_view text) {
  std::string escaped;
  for (const char each : text) {
    if (each == '-') {
      escaped += "\\-";
    } else if (each == '\\') {
      escaped += "\\e";
    } else {
      escaped += each;
    }
  }
  return escaped.starts_with('.') || escaped.starts_with('\'') ? "\\&" + escaped : escaped;
}

std::string sentence(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return roff(text) + '.';
}

// "\fB\-c\fR, \fB\-\-config\fR \fITEXT\fR"
std::string heading(const CLI::Option& option) {
  std::string text;
  for (const std::string& each : names_of(option))
    text += fmt::format("{}\\f{}{}\\fR", text.empty() ? "" : ", ", option.nonpositional() ? 'B' : 'I',
                        roff(each));
  if (option.nonpositional() && takes_value(option))
    text += fmt::format(" \\fI{}\\fR", option.get_type_name());
  return text;
}

std::string entry(const CLI::Option& option) {
  std::string text = fmt::format(".TP\n{}\n{}\n", heading(option), roff(option.get_description()));
  if (!option.get_envname().empty())
    text += fmt::format("(\\fB{}\\fR in the environment stands for it)\n", roff(option.get_envname()));
  return text;
}

// The same option of two commands: a change of its help makes it another.
using Key = std::string;
Key key_of(const CLI::Option& option) {
  return heading(option) + '\n' + option.get_description();
}

std::string synopsis(const Leaf& leaf) {
  std::string text = fmt::format("\\fBnfsteer {}\\fR", roff(leaf.words));
  if (!flags_of(*leaf.command).empty()) text += " [\\fIoption\\fR ...]";
  for (const CLI::Option* each : positionals_of(*leaf.command))
    text += fmt::format(" \\fI{}\\fR", roff(name_of(*each)));
  return text;
}

// Every command. `rules` takes what `run` takes: a list of options that has stood before is not repeated.
std::string all_of(const std::vector<Leaf>& leaves, const std::map<Key, unsigned>& uses) {
  std::string text;
  std::map<std::string, std::string> first_with;  // a list of options: the command that has it
  for (const Leaf& leaf : leaves) {
    text += fmt::format(".SS {}\n{}\n", synopsis(leaf), sentence(leaf.command->get_description()));
    for (const CLI::Option* each : positionals_of(*leaf.command))
      text += entry(*each);
    std::string options;
    for (const CLI::Option* each : flags_of(*leaf.command))
      if (uses.at(key_of(*each)) < kCommonMin) options += entry(*each);
    const auto [first, is_new] = first_with.try_emplace(options, leaf.words);
    text += is_new || options.empty()
                ? options
                : fmt::format(".PP\nIts options are those of\n.BR \"nfsteer {}\" .\n", roff(first->second));
  }
  return text;
}

}  // namespace

std::string man_page(const CLI::App& app) {
  const std::vector<Leaf> leaves = leaves_of(app);
  std::map<Key, unsigned> uses;
  std::vector<const CLI::Option*> common;
  for (const Leaf& leaf : leaves)
    for (const CLI::Option* each : flags_of(*leaf.command))
      if (++uses[key_of(*each)] == kCommonMin) common.push_back(each);

  std::string text = fmt::format(
      ".\\\" Printed by `nfsteer man`.\n"
      ".TH NFSTEER 8 \"\" \"nfsteer {}\" \"System Administration\"\n"
      ".SH NAME\nnfsteer \\- steer traffic aimed at a virtual IP address to backends\n"
      ".SH SYNOPSIS\n\\fBnfsteer\\fR \\fIcommand\\fR [\\fIoption\\fR ...] [\\fIargument\\fR ...]\n",
      roff(control::kVersion));
  text += kIntroduction;
  text += ".SH COMMANDS\n" + all_of(leaves, uses);
  text += ".SH \"OPTIONS OF SEVERAL COMMANDS\"\n";
  for (const CLI::Option* each : common)
    text += entry(*each);
  text += ".SH \"OPTIONS WITHOUT A COMMAND\"\n";
  for (const CLI::Option* each : flags_of(app))
    if (uses[key_of(*each)] < kCommonMin) text += entry(*each);
  return text + kAfterwords;
}

}  // namespace nfsteer::cli
