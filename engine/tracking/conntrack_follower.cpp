#include "tracking/conntrack_follower.hpp"

#include <algorithm>
#include <random>
#include <span>
#include <utility>

namespace nfsteer::tracking {
namespace {

using core::Family;
using netlink::Connection;
using netlink::ConntrackMessage;
using netlink::ReceiveOutcome;

constexpr std::size_t kTurnMax = 512;            // datagrams
constexpr std::size_t kVisitsBetweenTurns = 64;  // a few datagrams of the table's
constexpr std::size_t kEventBytesMin = 512;      // that the kernel charges the receive buffer for an event
constexpr std::chrono::seconds kReadAgain{30};
constexpr int kReadAgainShare = 50;
constexpr std::chrono::milliseconds kReopenMin{100};
constexpr std::chrono::seconds kReopenMax{10};

std::uint64_t random_seed() {
  std::random_device device;  // 32 bits a call
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

ConntrackFollower::ConntrackFollower(core::SlotBank<ConnectionCounters>& slots, FollowerCounters& counters,
                                     const std::atomic<bool>& stopping,
                                     std::shared_ptr<const core::Snapshot> lookup,
                                     netlink::ConntrackEvents events)
    : counters_(counters),
      stopping_(stopping),
      table_(slots, random_seed(), std::move(lookup)),
      events_(std::move(events)),
      receive_bytes_(events_->receive_bytes()),
      buffer_(netlink::kConntrackReceiveMax),
      reopen_pause_(kReopenMin) {}

ConntrackFollower::Turn ConntrackFollower::turn(Time now) {
  if (!events_ && now >= reopen_at_) reopen(now);
  const Turn done = receive(kTurnMax, now);
  // Where it fails, pace_ says when to try again.
  if (is_reading_due(now)) (void)read_table(now);
  table_.expire(now);
  counters_.kept.store(table_.size(), std::memory_order_relaxed);
  return done;
}

bool ConntrackFollower::is_reading_due(Time now) const {
  if (is_new_ && table_.needs_reading()) return true;
  if (pace_.due()) return now >= *pace_.due();
  return table_.unheard() > 0 && now >= read_again_;
}

ConntrackFollower::Turn ConntrackFollower::receive(std::size_t datagrams_max, Time now) {
  Turn done;
  if (!events_) return {.emptied = true};
  while (done.received < datagrams_max) {
    const ReceiveOutcome got = events_->receive(buffer_);
    switch (got.kind) {
      case ReceiveOutcome::Kind::data:
        ++done.received;
        apply(std::span(buffer_).first(got.bytes), now);
        break;
      case ReceiveOutcome::Kind::overflow:
        lost(now);
        break;
      case ReceiveOutcome::Kind::interrupted:
        break;
      case ReceiveOutcome::Kind::empty:
        table_.caught_up();
        reopen_pause_ = kReopenMin;
        done.emptied = true;
        return done;
      case ReceiveOutcome::Kind::broken:
        counters_.errors.add();
        events_.reset();
        reopen_at_ = now + reopen_pause_;
        reopen_pause_ = std::min<Time::duration>(reopen_pause_ * 2, kReopenMax);
        done.emptied = true;
        return done;
    }
  }
  return done;
}

void ConntrackFollower::apply(std::span<const std::uint8_t> datagram, Time now) {
  netlink::ConntrackReader messages(datagram);
  for (ConntrackMessage message; messages.next(message);) {
    switch (message.kind) {
      case ConntrackMessage::Kind::connection:
        counters_.events.add();
        table_.apply(message.change, message.connection, now);
        break;
      case ConntrackMessage::Kind::overrun:
        lost(now);
        break;
      case ConntrackMessage::Kind::malformed:
        counters_.malformed.add();
        break;
      default:
        break;
    }
  }
}

void ConntrackFollower::lost(Time now) {
  counters_.overflows.add();
  table_.lost_events();
  pace_.lost(now);
}

void ConntrackFollower::reopen(Time now) {
  auto opened = netlink::ConntrackEvents::open(receive_bytes_);
  if (!opened) {
    counters_.errors.add();
    reopen_at_ = now + reopen_pause_;
    reopen_pause_ = std::min<Time::duration>(reopen_pause_ * 2, kReopenMax);
    return;
  }
  events_ = std::move(*opened);
  table_.was_deaf();
  pace_.lost(now);
}

core::Result<void> ConntrackFollower::read_table(Time now) {
  // A socket that has lost events gets no more of them until it is empty. (netlink_overrun() in the kernel)
  for (std::size_t left = queued_max(); left > 0 && !stopping_.load(std::memory_order_relaxed);) {
    const Turn done = receive(std::min(left, kTurnMax), now);
    if (done.emptied) break;
    left -= done.received;
  }
  const auto began = std::chrono::steady_clock::now();
  pace_.begin();
  is_new_ = false;
  table_.begin_reading();
  auto visited = visit_all(now);
  const Time::duration took = std::chrono::steady_clock::now() - began;
  pace_.end(now + took);
  read_again_ = now + took + std::max<Time::duration>(kReadAgain, took * kReadAgainShare);
  if (stopping_.load(std::memory_order_relaxed)) return {};
  if (visited) {
    counters_.readings.add();
    table_.end_reading();
  } else {
    counters_.errors.add();
    table_.give_up_reading();
    pace_.lost(now + took);
  }
  counters_.kept.store(table_.size(), std::memory_order_relaxed);
  return visited;
}

core::Result<void> ConntrackFollower::visit_all(Time now) {
  auto kernel = netlink::ConntrackTable::open();
  if (!kernel) return tl::unexpected(kernel.error());
  const auto began = std::chrono::steady_clock::now();
  std::size_t visits = 0;
  const auto visit = [&](const Connection& connection) {
    if (stopping_.load(std::memory_order_relaxed)) return;
    const Time then = now + (std::chrono::steady_clock::now() - began);
    table_.visit(connection, then);
    if (++visits % kVisitsBetweenTurns != 0) return;
    // Or a large table would take longer than the socket has room for events.
    receive(kTurnMax, then);
  };
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    if (!has_services(family)) continue;
    // Of a reading that begins anew, what was visited stays true: events tell what has become of it since.
    auto read = kernel->read(family, visit, [] {});
    if (!read) return tl::unexpected(read.error());
  }
  return {};
}

void ConntrackFollower::follow(std::shared_ptr<const core::Snapshot> lookup) {
  is_new_ = table_.follow(std::move(lookup));
}

bool ConntrackFollower::has_services(Family family) const {
  return std::ranges::any_of(table_.lookup().services(), [&](const core::SteeredService& each) {
    return each.service.vip.family() == family;
  });
}

std::optional<Time> ConntrackFollower::next_due() const {
  std::optional<Time> next = table_.next_expiry();
  const auto consider = [&](Time due) { next = next ? std::min(*next, due) : due; };
  if (pace_.due()) consider(*pace_.due());
  if (!pace_.due() && table_.unheard() > 0) consider(read_again_);
  if (!events_) consider(reopen_at_);
  return next;
}

std::size_t ConntrackFollower::queued_max() const {
  return receive_bytes_ / kEventBytesMin + 1;
}

}  // namespace nfsteer::tracking
