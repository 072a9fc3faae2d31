// Random histories of a kernel's connections, of which the table learns by events that are late and may be
// lost, and by readings while connections come and go: in the end it has to hold what the kernel holds.
#include <netinet/in.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.hpp"
#include "tracking/connection_table.hpp"
#include "tracking_support.hpp"

namespace nfsteer::tracking {
namespace {

using core::Protocol;
using netlink::Connection;
using netlink::ConntrackChange;
using netlink::TcpState;
using test::service;

constexpr std::uint32_t kSlots = 8;
constexpr std::uint16_t kClients = 12;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint32_t below(std::uint32_t end) { return static_cast<std::uint32_t>(random_.next() % end); }
  bool one_in(std::uint32_t chances) { return below(chances) == 0; }

 private:
  core::Random random_;
};

// What a history may hold.
struct Rules {
  bool loses = false;    // events
  bool reopens = true;   // TCP entries; also such as are destroyed within the same reading, unlike a kernel
  bool changes = false;  // services
  bool repeats_ids = false;  // for the next connection of a tuple
  bool deaf_at_first = false;
};

struct Event {
  ConntrackChange change;
  Connection connection;
};

// conntrack, and the socket that its events wait in.
class Kernel {
 public:
  Kernel(Dice& dice, const Rules& rules) : dice_(dice), rules_(rules) {}

  void listen() { listens_ = true; }

  void step() {
    const auto client = static_cast<std::uint16_t>(1 + dice_.below(kClients));
    const auto found = entries_.find(client);
    if (found == entries_.end()) return open(client);
    Entry& entry = found->second;
    if (entry.connection.original.protocol != IPPROTO_TCP || dice_.one_in(6)) return destroy(client);
    advance(entry);
  }

  std::optional<Event> next_event() {
    if (queue_.empty()) {
      congested_ = false;
      return std::nullopt;
    }
    Event first = queue_.front();
    queue_.pop_front();
    return first;
  }
  bool take_loss() { return std::exchange(lost_, false); }

  std::vector<std::uint16_t> clients() const {
    std::vector<std::uint16_t> all;
    for (const auto& [client, entry] : entries_)
      all.push_back(client);
    return all;
  }
  const Connection* entry(std::uint16_t client) const {
    const auto found = entries_.find(client);
    return found == entries_.end() ? nullptr : &found->second.connection;
  }

  // What was told by events, whether or not they were lost.
  std::map<std::string, Totals> told;

 private:
  struct Entry {
    Connection connection;
    bool heard = false;
  };

  void open(std::uint16_t client) {
    static constexpr const char* kBackends[] = {"10.0.0.20", "10.0.0.21", "10.0.0.22", "10.0.0.23"};
    const bool tcp = client % 2 == 0;  // as the tuple tells
    const std::uint32_t id = rules_.repeats_ids ? dice_.below(2) : ++ids_;
    Entry entry{
        test::connection(tcp ? IPPROTO_TCP : IPPROTO_UDP, client, client % 5 == 0 ? "10.0.0.41" : "10.0.0.40",
                         80, kBackends[dice_.below(4)], 80, id),
        listens_};
    if (client == kClients) entry.connection.status = IPS_CONFIRMED;
    if (tcp) entry.connection.tcp_state = TcpState::syn_sent;
    entries_[client] = entry;
    tell(ConntrackChange::created, entry);
  }

  void destroy(std::uint16_t client) {
    Entry entry = entries_.at(client);
    entries_.erase(client);
    entry.connection.original_packets = 1 + dice_.below(5);
    tell(ConntrackChange::destroyed, entry);
  }

  void advance(Entry& entry) {
    TcpState& state = entry.connection.tcp_state;
    switch (state) {
      case TcpState::syn_sent:
        state = dice_.one_in(4) ? TcpState::close : TcpState::syn_received;
        break;
      case TcpState::syn_received:
        state = TcpState::established;
        break;
      case TcpState::established:
        state = dice_.one_in(3) ? TcpState::close : TcpState::fin_wait;
        break;
      case TcpState::fin_wait:
        state = TcpState::close_wait;
        break;
      case TcpState::close_wait:
        state = TcpState::last_ack;
        break;
      case TcpState::last_ack:
        state = TcpState::time_wait;
        break;
      default:
        if (!entry.heard || !rules_.reopens) return;
        state = TcpState::syn_sent;
    }
    tell(ConntrackChange::updated, entry);
  }

  void tell(ConntrackChange change, const Entry& entry) {
    const Connection& connection = entry.connection;
    if (!entry.heard) return;
    if ((connection.status & IPS_DST_NAT) != 0) {
      Totals& totals = told[connection.reply.source_address().to_string()];
      if (change == ConntrackChange::created ||
          (change == ConntrackChange::updated && connection.tcp_state == TcpState::syn_sent))
        ++totals.opened;
      if (change == ConntrackChange::destroyed) totals.packets_in += connection.original_packets;
    }
    congested_ = congested_ || (rules_.loses && queue_.size() >= 20);
    if (congested_)
      lost_ = true;
    else
      queue_.push_back({change, connection});
  }

  Dice& dice_;
  const Rules rules_;
  std::map<std::uint16_t, Entry> entries_;  // by client port, which tells the tuple
  std::deque<Event> queue_;
  std::uint32_t ids_ = 0;
  bool listens_ = false;
  bool lost_ = false;
  bool congested_ = false;  // nothing more is queued until the queue is empty
};

class History {
 public:
  History(std::uint64_t seed, const Rules& rules)
      : dice_(seed),
        rules_(rules),
        kernel_(dice_, rules),
        table_((slots_.grow(kSlots), slots_), seed, lookup_) {}

  void play() {
    if (rules_.deaf_at_first) kernel_steps(20);
    kernel_.listen();
    kernel_steps(dice_.below(20));
    read();
    for (int turn = 0; turn < 150; ++turn) {
      kernel_steps(dice_.below(20));
      apply(dice_.below(20));
      if (rules_.changes && dice_.one_in(10)) table_.follow(lookup_ = any_lookup());
      if (must_read_ ? dice_.one_in(3) : dice_.one_in(10)) read();
    }
    while (apply(1000), must_read_ || table_.needs_reading() || table_.unheard() > 0)
      if (read(false), apply(1000), !must_read_) break;
  }

  void compare() {
    std::map<std::uint32_t, std::uint64_t> active;
    std::size_t kept = 0;
    for (const std::uint16_t client : kernel_.clients()) {
      const Connection& each = *kernel_.entry(client);
      const core::SteeredService* steered = lookup_->find(each.original);
      if (steered == nullptr || (each.status & IPS_DST_NAT) == 0) continue;
      ++kept;
      const TcpState state = each.tcp_state;
      if (state == TcpState::last_ack || state == TcpState::time_wait || state == TcpState::close) continue;
      for (std::size_t i = 0; i < steered->backend_slots.size(); ++i)
        if (steered->service.backends[i].address == each.reply.source_address())
          ++active[steered->backend_slots[i]];
    }
    EXPECT_EQ(table_.size(), kept);
    for (std::uint32_t slot = 0; slot < kSlots; ++slot)
      EXPECT_EQ(slots_[slot].totals().active, active[slot]) << "slot " << slot;
  }

  // Where nothing was lost and no service has changed.
  void compare_totals() {
    for (const auto& [backend, told] : kernel_.told) {
      Totals counted;
      for (const core::SteeredService& steered : lookup_->services())
        for (std::size_t i = 0; i < steered.backend_slots.size(); ++i)
          if (steered.service.backends[i].address.to_string() == backend) {
            const Totals totals = slots_[steered.backend_slots[i]].totals();
            counted.opened += totals.opened;
            counted.packets_in += totals.packets_in;
          }
      EXPECT_EQ(counted.opened, told.opened) << backend;
      EXPECT_EQ(counted.packets_in, told.packets_in) << backend;
    }
  }

 private:
  void kernel_steps(std::uint32_t count) {
    for (; count > 0; --count)
      kernel_.step();
  }

  void apply(std::uint32_t count) {
    for (; count > 0; --count) {
      if (kernel_.take_loss()) {
        must_read_ = true;
        table_.lost_events();
      }
      const auto event = kernel_.next_event();
      if (!event) return table_.caught_up();
      table_.apply(event->change, event->connection, now_ += std::chrono::milliseconds(dice_.below(300)));
      table_.expire(now_);
    }
  }

  // The kernel writes entries a few at a time, and does not stand still.
  void read(bool is_busy = true) {
    apply(1000);
    must_read_ = false;
    table_.begin_reading();
    std::deque<Connection> written;
    const auto visit_first = [&] {
      table_.visit(written.front(), now_);
      written.pop_front();
    };
    for (std::uint16_t client = 1; client <= kClients; ++client) {
      if (is_busy) kernel_steps(dice_.below(4));
      if (const Connection* entry = kernel_.entry(client)) written.push_back(*entry);
      if (is_busy) apply(dice_.below(4));
      while (written.size() > dice_.below(6))
        visit_first();
    }
    while (!written.empty())
      visit_first();
    table_.end_reading();
  }

  // Backends come and go, and slots are given to others.
  std::shared_ptr<const core::Snapshot> any_lookup() {
    const std::uint32_t first = dice_.below(kSlots);
    const auto slot = [&](std::uint32_t n) { return (first + n) % kSlots; };
    auto web = service("web", "10.0.0.40", Protocol::any, 0,
                       {{"10.0.0.20", 0, slot(0)}, {"10.0.0.21", 80, slot(1)}});
    auto other = service("other", "10.0.0.41", Protocol::any, 0,
                         {{"10.0.0.21", 0, slot(2)}, {"10.0.0.23", 0, slot(3)}});
    auto tcp = service("tcp", "10.0.0.40", Protocol::tcp, 80, {{"10.0.0.22", 0, slot(4)}});
    switch (dice_.below(4)) {
      case 0:
        return test::lookup(web);
      case 1:
        return test::lookup(other);
      case 2:
        return test::lookup(web, other);
      default:
        return test::lookup(web, other, tcp);
    }
  }

  Dice dice_;
  const Rules rules_;
  Kernel kernel_;
  core::SlotBank<ConnectionCounters> slots_;
  std::shared_ptr<const core::Snapshot> lookup_ = test::lookup(
      service("web", "10.0.0.40", Protocol::any, 0,
              {{"10.0.0.20", 0, 0}, {"10.0.0.21", 80, 1}, {"10.0.0.22", 0, 2}, {"10.0.0.23", 0, 3}}),
      service("other", "10.0.0.41", Protocol::any, 0,
              {{"10.0.0.20", 0, 4}, {"10.0.0.21", 80, 5}, {"10.0.0.22", 0, 6}, {"10.0.0.23", 0, 7}}));
  ConnectionTable table_;
  Time now_{std::chrono::seconds(100)};
  bool must_read_ = true;
};

constexpr int kHistories = 100;

std::uint64_t seed_of_run() {
  const char* given = std::getenv("NFSTEER_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

template <typename Compare>
void play_histories(const Rules& rules, Compare compare) {
  const std::uint64_t seed = seed_of_run();
  for (std::uint64_t each = seed; each < seed + kHistories && !testing::Test::HasFailure(); ++each) {
    SCOPED_TRACE("NFSTEER_TEST_SEED=" + std::to_string(each));
    History history(each, rules);
    history.play();
    compare(history);
  }
}

TEST(ConnectionTableRandom, HoldsWhatTheKernelHoldsAndCountsEachOnceWhereNothingIsLost) {
  play_histories({.reopens = false}, [](History& history) {
    history.compare();
    history.compare_totals();
  });
}

TEST(ConnectionTableRandom, HoldsWhatTheKernelHoldsAfterLosses) {
  play_histories({.loses = true, .repeats_ids = true, .deaf_at_first = true},
                 [](History& history) { history.compare(); });
}

TEST(ConnectionTableRandom, HoldsWhatTheKernelHoldsWhileServicesChange) {
  play_histories({.loses = true, .changes = true, .repeats_ids = true, .deaf_at_first = true},
                 [](History& history) { history.compare(); });
}

}  // namespace
}  // namespace nfsteer::tracking
