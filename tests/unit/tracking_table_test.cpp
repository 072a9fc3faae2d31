// What the connection table counts of which event, in virtual time.
#include <netinet/in.h>

#include <chrono>
#include <initializer_list>

#include <gtest/gtest.h>

#include "tracking/connection_table.hpp"
#include "tracking_support.hpp"

namespace nfsteer::tracking {
namespace {

using core::Protocol;
using netlink::Connection;
using netlink::ConntrackChange;
using netlink::TcpState;
using test::service;
using namespace std::chrono_literals;

constexpr Time kStart{100s};

std::shared_ptr<const core::Snapshot> two_backends() {
  return test::lookup(
      service("web", "10.0.0.40", Protocol::tcp, 80, {{"10.0.0.20", 8080, 0}, {"10.0.0.30", 0, 1}}),
      service("any", "10.0.0.40", Protocol::any, 0, {{"10.0.0.20", 0, 2}, {"10.0.0.30", 0, 3}}));
}

// A table that has read the kernel's, which was empty.
struct Fixture {
  explicit Fixture(std::shared_ptr<const core::Snapshot> first = two_backends(), bool has_read = true)
      : table((counters.grow(100), counters), 1, std::move(first)) {
    if (has_read) read({});
  }

  void read(std::initializer_list<Connection> shown) {
    table.begin_reading();
    for (const Connection& each : shown)
      table.visit(each, now);
    table.end_reading();
    table.caught_up();
  }
  void event(ConntrackChange change, Connection connection, TcpState state = TcpState::none) {
    connection.tcp_state = state;
    table.apply(change, connection, now);
  }
  void created(const Connection& connection, TcpState state = TcpState::none) {
    event(ConntrackChange::created, connection, state);
  }
  void updated(const Connection& connection, TcpState state) {
    event(ConntrackChange::updated, connection, state);
  }
  void destroyed(const Connection& connection, TcpState state = TcpState::none) {
    event(ConntrackChange::destroyed, connection, state);
  }
  void pass(std::chrono::milliseconds time) {
    now += time;
    table.expire(now);
  }
  Totals totals(std::uint32_t slot) const { return counters[slot].totals(); }

  Time now = kStart;
  core::SlotBank<ConnectionCounters> counters;
  ConnectionTable table;
};

Connection tcp(std::uint16_t client, std::uint32_t id = 1) {
  return test::connection(IPPROTO_TCP, client, "10.0.0.40", 80, "10.0.0.20", 8080, id);
}
Connection udp(std::uint16_t client, std::uint32_t id = 1, const std::string& backend = "10.0.0.30") {
  return test::connection(IPPROTO_UDP, client, "10.0.0.40", 53, backend, 53, id);
}
Connection in_state(Connection connection, TcpState state) {
  connection.tcp_state = state;
  return connection;
}

TEST(ConnectionTable, AConnectionCountsAtTheBackendThatAnswersIt) {
  Fixture f;
  f.created(tcp(1), TcpState::syn_sent);
  f.created(test::connection(IPPROTO_TCP, 2, "10.0.0.40", 80, "10.0.0.30", 80), TcpState::syn_sent);
  f.created(udp(3));
  f.created(test::connection(IPPROTO_ICMP, 4, "10.0.0.40", 0, "10.0.0.20", 4));
  for (const std::uint32_t slot : {0U, 1U, 2U, 3U}) {
    EXPECT_EQ(f.totals(slot).active, 1U) << slot;
    EXPECT_EQ(f.totals(slot).opened, 1U) << slot;
  }
  EXPECT_EQ(f.table.size(), 4U);
}

TEST(ConnectionTable, APendingConnectionIsOverWhenItIsToldOf) {
  Fixture it;
  const std::uint32_t slot = 0;
  it.counters[slot].live.picked();
  it.counters[slot].live.picked();
  it.created(tcp(1000), TcpState::syn_sent);
  EXPECT_EQ(it.counters[slot].live.pending(), 1U);
  EXPECT_EQ(it.counters[slot].live.load(), 2U);
}

TEST(ConnectionTable, ABackendsOwnPortGoesBeforeOneThatTakesAnyPort) {
  Fixture f(test::lookup(
      service("all", "fd00::40", Protocol::tcp, 0, {{"fd00::20", 0, 5}, {"fd00::20", 8080, 6}})));
  f.created(test::connection(IPPROTO_TCP, 1, "fd00::40", 80, "fd00::20", 8080), TcpState::syn_sent);
  f.created(test::connection(IPPROTO_TCP, 2, "fd00::40", 80, "fd00::20", 80), TcpState::syn_sent);
  f.created(test::connection(IPPROTO_TCP, 3, "fd00::40", 80, "fd00::21", 80), TcpState::syn_sent);
  EXPECT_EQ(f.totals(5).active, 1U);
  EXPECT_EQ(f.totals(6).active, 1U);
  EXPECT_EQ(f.table.size(), 3U) << "kept for a backend that may come";
}

TEST(ConnectionTable, KeepsNothingThatIsNotTranslatedOrOfNoService) {
  Fixture f;
  Connection plain = udp(1);
  plain.status = IPS_CONFIRMED;
  f.created(plain);
  f.created(test::connection(IPPROTO_UDP, 2, "10.0.0.41", 53, "10.0.0.30", 53));
  f.read({plain});
  EXPECT_EQ(f.table.size(), 0U);
}

TEST(ConnectionTable, ZonesAreConnectionsOfTheirOwn) {
  Fixture f;
  Connection other = udp(1);
  other.zone = 7;
  f.created(udp(1));
  f.created(other);
  EXPECT_EQ(f.totals(3).active, 2U);
  f.destroyed(other);
  EXPECT_EQ(f.totals(3).active, 1U);
}

TEST(ConnectionTable, TcpIsActiveUntilBothEndsHaveClosed) {
  Fixture f;
  f.created(tcp(1), TcpState::syn_sent);
  for (const TcpState open :
       {TcpState::syn_received, TcpState::established, TcpState::fin_wait, TcpState::close_wait}) {
    f.updated(tcp(1), open);
    EXPECT_EQ(f.totals(0).active, 1U) << static_cast<int>(open);
  }
  for (const TcpState over : {TcpState::last_ack, TcpState::time_wait, TcpState::close}) {
    f.updated(tcp(1), over);
    EXPECT_EQ(f.totals(0).active, 0U) << static_cast<int>(over);
  }
  f.destroyed(tcp(1));
  EXPECT_EQ(f.totals(0).active, 0U);
  EXPECT_EQ(f.table.size(), 0U);
  EXPECT_EQ(f.totals(0).opened, 1U);
  EXPECT_EQ(f.totals(0).unanswered, 0U);
}

TEST(ConnectionTable, AnEventWithoutAStateLeavesTheStateAsItIs) {
  Fixture f;
  f.created(tcp(1), TcpState::established);
  f.updated(tcp(1), TcpState::time_wait);
  f.updated(tcp(1), TcpState::none);
  EXPECT_EQ(f.totals(0).active, 0U);
}

TEST(ConnectionTable, WhatHasNoEndOfItsOwnIsActiveUntilItIsDestroyed) {
  Fixture f;
  const Connection sctp = test::connection(IPPROTO_SCTP, 1, "10.0.0.40", 80, "10.0.0.20", 80);
  f.created(sctp);
  f.updated(sctp, TcpState::close);
  EXPECT_EQ(f.totals(2).active, 1U);
  f.destroyed(sctp);
  EXPECT_EQ(f.totals(2).active, 0U);
}

TEST(ConnectionTable, AReopenedTcpEntryIsANewConnection) {
  Fixture f;
  f.created(tcp(1), TcpState::syn_sent);
  f.updated(tcp(1), TcpState::established);
  f.updated(tcp(1), TcpState::time_wait);
  f.updated(tcp(1), TcpState::syn_sent);
  EXPECT_EQ(f.totals(0).active, 1U);
  EXPECT_EQ(f.totals(0).opened, 2U);
  f.pass(3s);
  EXPECT_EQ(f.totals(0).unanswered, 1U);
}

TEST(ConnectionTable, TrafficCountsWhenConntrackForgetsTheConnection) {
  Fixture f;
  Connection done = udp(1);
  f.created(done);
  done.original_packets = 3;
  done.original_bytes = 300;
  done.reply_packets = 5;
  done.reply_bytes = 5000;
  f.destroyed(done);
  f.destroyed(done);  // an older one, of which nothing is known
  const Totals totals = f.totals(3);
  EXPECT_EQ(totals.packets_in, 6U);
  EXPECT_EQ(totals.bytes_in, 600U);
  EXPECT_EQ(totals.packets_out, 10U);
  EXPECT_EQ(totals.bytes_out, 10000U);
  EXPECT_EQ(totals.active, 0U);
}

TEST(ConnectionTable, ASynIsUnansweredOnceAfterThreeSeconds) {
  Fixture f;
  f.created(tcp(1), TcpState::syn_sent);
  f.pass(1s);
  f.created(tcp(2), TcpState::syn_sent);
  EXPECT_EQ(f.table.next_expiry(), kStart + kAnswerMax);
  f.pass(1999ms);
  EXPECT_EQ(f.totals(0).unanswered, 0U);
  f.pass(1ms);
  EXPECT_EQ(f.totals(0).unanswered, 1U);
  f.destroyed(tcp(1), TcpState::syn_sent);
  f.pass(1s);
  EXPECT_EQ(f.totals(0).unanswered, 2U);
  EXPECT_EQ(f.totals(0).unanswered_in_a_row, 2U);
  EXPECT_EQ(f.totals(0).active, 1U) << "it may yet be answered";
  EXPECT_FALSE(f.table.next_expiry());
}

TEST(ConnectionTable, ARefusedSynIsUnanswered) {
  Fixture f;
  f.created(tcp(1), TcpState::syn_sent);
  f.updated(tcp(1), TcpState::close);
  f.destroyed(tcp(1), TcpState::close);
  EXPECT_EQ(f.totals(0).unanswered, 1U);
  f.created(tcp(2), TcpState::syn_sent);
  f.destroyed(tcp(2), TcpState::close);  // at once, as the kernel does where the reset is the only answer
  f.created(tcp(3), TcpState::syn_sent);
  f.destroyed(tcp(3));  // kernels that tell no state
  EXPECT_EQ(f.totals(0).unanswered, 3U);
  f.pass(1h);
  EXPECT_EQ(f.totals(0).unanswered, 3U);
}

TEST(ConnectionTable, AnAnswerEndsTheRow) {
  Fixture f;
  for (std::uint16_t client = 1; client <= 3; ++client)
    f.created(tcp(client), TcpState::syn_sent);
  f.destroyed(tcp(1), TcpState::close);
  f.updated(tcp(2), TcpState::syn_received);
  EXPECT_EQ(f.totals(0).unanswered_in_a_row, 0U);
  f.pass(3s);
  EXPECT_EQ(f.totals(0).unanswered_in_a_row, 1U);
  f.updated(tcp(2), TcpState::established);
  f.updated(tcp(2), TcpState::fin_wait);
  EXPECT_EQ(f.totals(0).unanswered_in_a_row, 1U) << "no new answer";
  f.updated(tcp(3), TcpState::syn_received);
  EXPECT_EQ(f.totals(0).unanswered_in_a_row, 0U) << "late, but an answer";
  EXPECT_EQ(f.totals(0).unanswered, 2U);
}

TEST(ConnectionTable, AResetOfWhatWasAnsweredIsNotUnanswered) {
  Fixture f;
  f.created(tcp(1), TcpState::syn_sent);
  f.updated(tcp(1), TcpState::syn_received);
  f.updated(tcp(1), TcpState::close);
  f.created(tcp(2), TcpState::established);  // picked up in its midst
  f.updated(tcp(2), TcpState::close);
  EXPECT_EQ(f.totals(0).unanswered, 0U);
}

TEST(ConnectionTable, NothingIsHeldAgainstABackendWhereEventsWereLost) {
  Fixture f;
  f.created(tcp(1), TcpState::syn_sent);
  f.table.lost_events();
  f.created(tcp(2), TcpState::syn_sent);  // was queued before the loss
  f.pass(3s);
  EXPECT_FALSE(f.table.next_expiry());
  f.table.caught_up();
  f.created(tcp(3), TcpState::syn_sent);
  f.pass(3s);
  EXPECT_EQ(f.totals(0).unanswered, 1U) << "the third's, after the loss";
}

TEST(ConnectionTable, OfOneTupleTheIdTellsWhichConnectionAnEventIsAbout) {
  Fixture f;
  f.created(tcp(1, 10), TcpState::syn_sent);
  f.destroyed(tcp(1, 9), TcpState::close);
  f.updated(tcp(1, 9), TcpState::time_wait);
  EXPECT_EQ(f.totals(0).active, 1U);
  f.created(tcp(1, 11), TcpState::syn_sent);
  EXPECT_EQ(f.totals(0).active, 1U) << "that the one before ended went unheard";
  EXPECT_EQ(f.totals(0).opened, 2U);
  f.destroyed(tcp(1, 11), TcpState::close);
  EXPECT_EQ(f.table.size(), 0U);
}

TEST(ConnectionTable, AnIdThatComesAgainWithAnotherBackendIsAnotherConnection) {
  Fixture f;
  f.created(udp(1, 10, "10.0.0.20"));
  f.read({udp(1, 10, "10.0.0.30")});
  EXPECT_EQ(f.totals(2).active, 0U);
  EXPECT_EQ(f.totals(3).active, 1U);
  f.destroyed(udp(1, 10, "10.0.0.20"));
  EXPECT_EQ(f.totals(3).active, 1U);
}

TEST(ConnectionTable, ThousandsComeAndGo) {
  Fixture f;
  for (std::uint32_t round = 0; round < 3; ++round) {
    for (std::uint32_t client = 0; client < 20000; ++client)
      f.created(udp(static_cast<std::uint16_t>(client), round));
    EXPECT_EQ(f.totals(3).active, 20000U);
    for (std::uint32_t client = 0; client < 20000; ++client)
      f.destroyed(udp(static_cast<std::uint16_t>(client), round));
    EXPECT_EQ(f.totals(3).active, 0U);
  }
  EXPECT_EQ(f.totals(3).opened, 60000U);
  EXPECT_EQ(f.table.size(), 0U);
}

TEST(ConnectionTableReading, OfTheStartIsActiveButWasNotOpenedSince) {
  Fixture f(two_backends(), false);
  EXPECT_TRUE(f.table.needs_reading());
  f.read({in_state(tcp(1), TcpState::established), in_state(tcp(2), TcpState::time_wait),
          in_state(tcp(3), TcpState::syn_sent)});
  EXPECT_FALSE(f.table.needs_reading());
  EXPECT_EQ(f.totals(0).active, 2U);
  EXPECT_EQ(f.totals(0).opened, 0U);
  EXPECT_EQ(f.table.unheard(), 3U);
  f.pass(3s);
  EXPECT_EQ(f.totals(0).unanswered, 0U) << "no event would have told of an answer";
  f.updated(tcp(3), TcpState::established);
  EXPECT_EQ(f.table.unheard(), 2U);
  f.destroyed(tcp(2));
  EXPECT_EQ(f.table.unheard(), 1U);
}

TEST(ConnectionTableReading, WhatBeganBetweenListeningAndItWasOpened) {
  Fixture f(two_backends(), false);
  f.read({in_state(tcp(1), TcpState::established)});
  f.created(tcp(1), TcpState::syn_sent);
  f.updated(tcp(1), TcpState::established);
  EXPECT_EQ(f.totals(0).active, 1U);
  EXPECT_EQ(f.totals(0).opened, 1U);
  f.pass(3s);
  EXPECT_EQ(f.totals(0).unanswered, 0U);
}

TEST(ConnectionTableReading, AfterALossFindsWhatCameAndWhatWent) {
  Fixture f;
  f.created(udp(1));
  f.created(tcp(2), TcpState::established);
  f.read({in_state(tcp(2), TcpState::time_wait), udp(3), in_state(tcp(4), TcpState::syn_sent)});
  EXPECT_EQ(f.totals(3).active, 1U);
  EXPECT_EQ(f.totals(3).opened, 2U) << "the event of the new one was lost";
  EXPECT_EQ(f.totals(0).active, 1U);
  EXPECT_EQ(f.table.size(), 3U);
  f.pass(3s);
  EXPECT_EQ(f.totals(0).unanswered, 1U);
}

TEST(ConnectionTableReading, OfAReopenedOneCountsItOnce) {
  Fixture f;
  f.created(tcp(1), TcpState::established);
  f.updated(tcp(1), TcpState::time_wait);
  f.read({in_state(tcp(1), TcpState::established)});
  f.updated(tcp(1), TcpState::syn_sent);
  f.updated(tcp(1), TcpState::established);
  EXPECT_EQ(f.totals(0).active, 1U);
  EXPECT_EQ(f.totals(0).opened, 2U);
}

TEST(ConnectionTableReading, IsNotSpoiltByOlderEventsReadAfterIt) {
  Fixture f;
  f.table.begin_reading();
  f.table.visit(in_state(tcp(1, 12), TcpState::established), f.now);
  f.table.end_reading();
  f.created(tcp(1, 11), TcpState::syn_sent);
  f.destroyed(tcp(1, 11), TcpState::close);
  EXPECT_EQ(f.totals(0).active, 1U);
  f.created(tcp(1, 12), TcpState::syn_sent);
  f.updated(tcp(1, 12), TcpState::established);
  f.updated(tcp(2), TcpState::established);  // of one that was gone when the table was read
  f.destroyed(tcp(2));
  f.table.caught_up();
  EXPECT_EQ(f.totals(0).active, 1U);
  EXPECT_EQ(f.totals(0).opened, 2U);
  EXPECT_EQ(f.table.size(), 1U);
}

TEST(ConnectionTableReading, IsNotAheadOfTheEventsReadDuringIt) {
  Fixture f;
  f.table.begin_reading();
  f.created(udp(1));
  f.destroyed(udp(1));
  f.destroyed(udp(2));
  f.created(udp(3, 2));
  EXPECT_EQ(f.table.size(), 1U);
  for (const Connection& written_before : {udp(1), udp(2), udp(3, 1)})
    f.table.visit(written_before, f.now);
  EXPECT_EQ(f.totals(3).active, 1U);
  f.table.end_reading();
  EXPECT_EQ(f.totals(3).active, 1U);
  EXPECT_EQ(f.table.size(), 1U);
  f.destroyed(udp(3, 2));
  EXPECT_EQ(f.table.size(), 0U);
}

TEST(ConnectionTableReading, GivenUpEndsNothing) {
  Fixture f;
  f.created(udp(1));
  f.table.begin_reading();
  f.destroyed(udp(2));
  f.table.visit(udp(3), f.now);
  f.table.give_up_reading();
  EXPECT_EQ(f.table.size(), 2U);
  f.created(udp(2, 5));
  EXPECT_EQ(f.totals(3).active, 3U);
}

TEST(ConnectionTableReading, AConnectionWithoutEventsGivesWayToTheNextOfItsTuple) {
  Fixture f(two_backends(), false);
  f.read({udp(1, 10)});
  f.created(udp(1, 11));
  EXPECT_EQ(f.totals(3).active, 1U);
  EXPECT_EQ(f.table.unheard(), 0U);
  f.destroyed(udp(1, 11));
  EXPECT_EQ(f.table.size(), 0U);
}

TEST(ConnectionTableReading, AfterDeafnessCountsNothingAsOpened) {
  Fixture f;
  f.created(tcp(1), TcpState::syn_sent);
  f.table.was_deaf();
  EXPECT_TRUE(f.table.needs_reading());
  f.read({in_state(tcp(1), TcpState::established), udp(2)});
  EXPECT_EQ(f.totals(3).active, 1U);
  EXPECT_EQ(f.totals(3).opened, 0U);
  f.pass(3s);
  EXPECT_EQ(f.totals(0).unanswered, 0U);
}

TEST(ConnectionTableFollow, ABackendThatGoesAndComesBackHasItsConnectionsAgain) {
  Fixture f;
  f.created(udp(1));
  EXPECT_FALSE(
      f.table.follow(test::lookup(service("any", "10.0.0.40", Protocol::any, 0, {{"10.0.0.20", 0, 2}}))));
  EXPECT_EQ(f.totals(3), Totals{}) << "released";
  EXPECT_EQ(f.table.size(), 1U);
  EXPECT_FALSE(f.table.follow(test::lookup(
      service("any", "10.0.0.40", Protocol::any, 0, {{"10.0.0.20", 0, 2}, {"10.0.0.30", 0, 9}}))));
  EXPECT_EQ(f.totals(9).active, 1U);
  EXPECT_EQ(f.totals(9).opened, 0U);
  f.destroyed(udp(1));
  EXPECT_EQ(f.totals(9).active, 0U);
}

TEST(ConnectionTableFollow, ASlotGivenToAnotherStartsFromZero) {
  Fixture f;
  f.created(udp(1));
  f.created(udp(2, 1, "10.0.0.20"));
  f.created(tcp(3), TcpState::syn_sent);
  f.destroyed(tcp(3), TcpState::close);
  f.table.follow(test::lookup(
      service("web", "10.0.0.40", Protocol::tcp, 80, {{"10.0.0.20", 8080, 0}}),
      service("any", "10.0.0.40", Protocol::any, 0, {{"10.0.0.20", 0, 3}, {"10.0.0.31", 0, 2}})));
  EXPECT_EQ(f.totals(3), Totals{.active = 1}) << "10.0.0.20's, which had slot 2";
  EXPECT_EQ(f.totals(2), Totals{});
  EXPECT_EQ(f.totals(0).unanswered, 1U) << "it still stands for the same";
  EXPECT_EQ(f.totals(0).opened, 1U);
}

TEST(ConnectionTableFollow, AServiceThatTakesAnothersConnectionsCountsThem) {
  Fixture f;
  f.created(tcp(1), TcpState::syn_sent);
  f.table.follow(test::lookup(service("any", "10.0.0.40", Protocol::any, 0, {{"10.0.0.20", 0, 2}})));
  EXPECT_EQ(f.totals(2).active, 1U);
  f.pass(3s);
  EXPECT_EQ(f.totals(2).unanswered, 1U);
}

TEST(ConnectionTableFollow, ANewScopeAsksForAReadingAndNothingOfItWasOpened) {
  Fixture f;
  EXPECT_TRUE(
      f.table.follow(test::lookup(service("any", "10.0.0.40", Protocol::any, 0, {{"10.0.0.30", 0, 3}}),
                                  service("new", "10.0.0.41", Protocol::any, 0, {{"10.0.0.30", 0, 4}}))));
  EXPECT_TRUE(f.table.needs_reading());
  const Connection older = test::connection(IPPROTO_UDP, 1, "10.0.0.41", 53, "10.0.0.30", 53);
  f.read({older, udp(2)});
  EXPECT_EQ(f.totals(4).active, 1U);
  EXPECT_EQ(f.totals(4).opened, 0U);
  EXPECT_EQ(f.totals(3).opened, 1U) << "the other service's was lost";
  EXPECT_FALSE(f.table.needs_reading());
}

TEST(ConnectionTableFollow, ConnectionsOfAServiceThatIsGoneAreDropped) {
  Fixture f;
  f.created(tcp(1), TcpState::syn_sent);
  f.created(udp(2));
  EXPECT_FALSE(f.table.follow(test::lookup()));
  EXPECT_EQ(f.table.size(), 0U);
  EXPECT_FALSE(f.table.next_expiry());
  EXPECT_TRUE(f.table.follow(two_backends()));
  f.read({udp(2)});
  EXPECT_EQ(f.totals(3), Totals{.active = 1});
}

}  // namespace
}  // namespace nfsteer::tracking
