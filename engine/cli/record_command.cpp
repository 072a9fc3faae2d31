// `nfsteer record`: the flows of a running engine's services into a file for `nfsteer simulate --record`.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "cli/command_line.hpp"
#include "cli/running_services.hpp"
#include "experiment/record_file.hpp"
#include "netlink/conntrack_socket.hpp"
#include "recording/flow_recorder.hpp"

namespace nfsteer::cli {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kReceiveBytes = std::size_t{16} << 20;
constexpr std::size_t kEventsHeld = 12'000;  // in about that
constexpr std::size_t kEventsAtOnce = 256;   // before signals and the deadline are looked at
constexpr unsigned kSecondsMax = 7 * 24 * 3600;
constexpr std::uint64_t kFlowsMax = 10'000'000;

struct RecordArguments {
  std::string file;
  std::vector<std::string> services;
  unsigned seconds = 60;
  std::uint64_t flows = 1'000'000;
};

core::Result<void> keep_named(std::vector<core::Service>& services, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  for (const std::string& name : names)
    if (std::ranges::none_of(services, [&](const core::Service& each) { return each.name == name; }))
      return core::usage_error("--service", fmt::format("there is no service {}", name),
                               "`nfsteer services` lists them");
  std::erase_if(services, [&](const core::Service& each) {
    return std::ranges::find(names, each.name) == names.end();
  });
  return {};
}

bool conntrack_counts_bytes() {
  std::ifstream file("/proc/sys/net/netfilter/nf_conntrack_acct");
  return file.get() == '1';
}

class Recording {
 public:
  Recording(std::vector<core::Service> services, netlink::ConntrackEvents events,
            experiment::RecordWriter writer, const RecordArguments& arguments)
      : events_(std::move(events)),
        writer_(std::move(writer)),
        limit_(arguments.flows),
        recorder_(std::move(services), Clock::now(), conntrack_counts_bytes(), kFlowsMax,
                  [this](const experiment::FlowRecord& each) { append(each); }),
        readable_(io_, events_.fd()),
        deadline_(io_, std::chrono::seconds(arguments.seconds)),
        signals_(io_, SIGINT, SIGTERM),
        buffer_(netlink::kConntrackReceiveMax) {}
  ~Recording() { readable_.release(); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  core::Result<void> run() {
    deadline_.async_wait([this](const boost::system::error_code& cancelled) {
      if (!cancelled) io_.stop();
    });
    signals_.async_wait([this](const boost::system::error_code& cancelled, int) {
      if (!cancelled) io_.stop();
    });
    wait_for_events();
    io_.run();
    receive_the_rest();
    recorder_.finish(Clock::now());
    if (!failed_) {
      if (auto flushed = writer_.flush(); !flushed) failed_ = flushed.error();
    }
    if (failed_) return tl::unexpected(*failed_);
    return {};
  }

  std::string summary(const std::string& file) const {
    const recording::FlowRecorder::Stats& stats = recorder_.stats();
    std::string text = fmt::format("{} flows in {}, {} of them still open", written_, file,
                                   written_ > stats.ended ? written_ - stats.ended : 0);
    if (stats.elsewhere > 0) text += fmt::format("; {} left out: their backends came later", stats.elsewhere);
    if (stats.missed > 0) text += fmt::format("; {} left out: too many at a time", stats.missed);
    if (losses_ > 0) text += fmt::format("; events were lost {} times, flows are missing", losses_);
    return text;
  }

 private:
  void wait_for_events() {
    readable_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [this](const boost::system::error_code& failed) {
                           if (failed) return;
                           receive();
                           if (goes_on()) return wait_for_events();
                           io_.stop();
                         });
  }

  bool goes_on() const { return !failed_ && written_ < limit_; }

  // What happened before the end and has not been read yet; bounded, since more may come all the time.
  void receive_the_rest() {
    for (std::size_t events = 0; events < kEventsHeld && goes_on(); events += kEventsAtOnce)
      if (!receive()) return;
  }

  // True if there may be more.
  bool receive() {
    for (std::size_t i = 0; i < kEventsAtOnce; ++i) {
      const auto got = events_.receive(buffer_);
      if (got.kind == netlink::ReceiveOutcome::Kind::overflow) ++losses_;
      if (got.kind == netlink::ReceiveOutcome::Kind::broken)
        failed_ = core::Error{core::Fault::system, "conntrack events", "the socket broke", "record again"};
      if (got.kind == netlink::ReceiveOutcome::Kind::overflow) continue;  // what it held is there still
      if (got.kind != netlink::ReceiveOutcome::Kind::data) return false;
      netlink::ConntrackReader reader(std::span<const std::uint8_t>(buffer_).first(got.bytes));
      const Clock::time_point now = Clock::now();
      for (netlink::ConntrackMessage message; reader.next(message);) {
        if (message.kind == netlink::ConntrackMessage::Kind::overrun) ++losses_;
        if (message.kind == netlink::ConntrackMessage::Kind::connection)
          recorder_.apply(message.change, message.connection, now);
      }
    }
    return true;
  }

  void append(const experiment::FlowRecord& record) {
    if (failed_ || written_ >= limit_) return;
    if (auto appended = writer_.append(record); !appended)
      failed_ = appended.error();
    else
      ++written_;
  }

  asio::io_context io_;
  netlink::ConntrackEvents events_;
  experiment::RecordWriter writer_;
  std::uint64_t limit_;
  std::uint64_t written_ = 0;
  std::uint64_t losses_ = 0;
  std::optional<core::Error> failed_;
  recording::FlowRecorder recorder_;
  asio::posix::stream_descriptor readable_;
  asio::steady_timer deadline_;
  asio::signal_set signals_;
  std::vector<std::uint8_t> buffer_;
};

core::Result<void> record(const std::string& control, const RecordArguments& arguments) {
  auto services = running_services(control);
  if (!services) return tl::unexpected(services.error());
  if (auto kept = keep_named(*services, arguments.services); !kept) return kept;
  auto events = netlink::ConntrackEvents::open(kReceiveBytes);
  if (!events) return tl::unexpected(events.error());
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  auto writer = experiment::RecordWriter::create(
      arguments.file, {static_cast<std::uint64_t>(now / std::chrono::nanoseconds(1)), *services});
  if (!writer) return tl::unexpected(writer.error());
  Recording recording(*std::move(services), *std::move(events), *std::move(writer), arguments);
  if (auto done = recording.run(); !done) return done;
  std::cout << recording.summary(arguments.file) << '\n';
  return {};
}

}  // namespace

void add_record(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "record", "Record the flows of a running engine's services, for `simulate --record`");
  const auto control = add_control_flag(*command);
  const auto arguments = std::make_shared<RecordArguments>();
  command->add_option("FILE", arguments->file, "file to write")->required();
  command->add_option("--service", arguments->services, "only these services; once per service");
  command->add_option("--for", arguments->seconds, "seconds; default: 60. Ctrl-C ends it sooner")
      ->check(CLI::Range(1U, kSecondsMax));
  command->add_option("--flows", arguments->flows, "end after so many flows; default: 1000000")
      ->check(CLI::Range(std::uint64_t{1}, kFlowsMax));
  command->callback([=, &action] { action = [=] { return record(*control, *arguments); }; });
}

}  // namespace nfsteer::cli
