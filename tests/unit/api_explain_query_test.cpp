// The question of GET /v1/explain, and what is said of wrong ones.
#include <netinet/in.h>

#include <string>

#include <gtest/gtest.h>

#include "api/explain_query.hpp"
#include "explain/explain.hpp"

namespace nfsteer::api {
namespace {

std::string meaning(const std::string& query) {
  const auto parsed = parse_explain_query("/v1/explain" + query);
  if (!parsed) return parsed.error().line();
  return explain::protocol_text(parsed->flow) + ' ' + explain::source_text(parsed->flow) + " -> " +
         explain::destination_text(parsed->flow) + (parsed->live ? " live" : "");
}

TEST(ExplainQuery, SaysProtocolAndBothEnds) {
  EXPECT_EQ(meaning("?protocol=tcp&source=10.0.0.10:40000&destination=10.0.0.40:80"),
            "tcp 10.0.0.10:40000 -> 10.0.0.40:80");
  EXPECT_EQ(meaning("?live=true&destination=%5Bfd00::40%5D:53&source=[fd00::10]:5353&protocol=udp"),
            "udp [fd00::10]:5353 -> [fd00::40]:53 live");
  EXPECT_EQ(meaning("?protocol=sctp&source=10.0.0.10%3A1&destination=10.0.0.40:65535&live=false"),
            "sctp 10.0.0.10:1 -> 10.0.0.40:65535");
  EXPECT_EQ(meaning("?protocol=icmp&source=10.0.0.10&destination=10.0.0.40"), "icmp 10.0.0.10 -> 10.0.0.40");
}

TEST(ExplainQuery, IcmpIsThatOfTheFamily) {
  EXPECT_EQ(parse_explain_query("?protocol=icmp&source=10.0.0.10&destination=10.0.0.40")->flow.protocol,
            IPPROTO_ICMP);
  EXPECT_EQ(parse_explain_query("?protocol=icmp&source=fd00::10&destination=fd00::40")->flow.protocol,
            IPPROTO_ICMPV6);
}

TEST(ExplainQuery, WrongOnesAreToldWhichParameterAndWhy) {
  const std::string ends = "&source=10.0.0.10:1&destination=10.0.0.40:80";
  const std::string example =
      "is missing; ask for instance ?protocol=tcp&source=10.0.0.10:40000&destination=10.0.0.40:80";
  const std::string brackets = "has no port; write ADDR:PORT, an IPv6 address in brackets: [ADDR]:PORT";
  const struct {
    std::string query;
    std::string error;
  } cases[] = {
      {"", "protocol: " + example},
      {"?protocol=tcp", "source: " + example},
      {"?protocol=tcp&source=10.0.0.10:1", "destination: " + example},
      {"?protocol=tpc" + ends, "protocol: \"tpc\" is no protocol known here; write tcp, udp, sctp or icmp"},
      {"?protocol=any" + ends, "protocol: \"any\" is no protocol known here; write tcp, udp, sctp or icmp"},
      {"?protocol" + ends, "protocol: \"\" is no protocol known here; write tcp, udp, sctp or icmp"},
      {"?protocol=tcp&protocol=tcp" + ends, "protocol: is given twice; give it once"},
      {"?protocol=%t" + ends,
       "protocol: has a % that two hexadecimal digits do not follow; write % itself as %25"},
      {"?protocol=%FF%0A" + ends, "protocol: \"??\" is no protocol known here; write tcp, udp, sctp or icmp"},
      {"?protocl=tcp" + ends,
       "query: there is no parameter \"protocl\"; there are protocol, source, destination and live"},
      {"?protocol=tcp&live=yes" + ends, "live: \"yes\" is neither true nor false"},
      {"?protocol=tcp&source=10.0.0.10&destination=10.0.0.40:80", "source: 10.0.0.10 " + brackets},
      {"?protocol=tcp&source=fd00::10:1&destination=[fd00::40]:80", "source: fd00::10:1 " + brackets},
      {"?protocol=tcp&source=[fd00::10]&destination=[fd00::40]:80", "source: \"[fd00::10]\" " + brackets},
      {"?protocol=tcp&source=[10.0.0.10]:1&destination=10.0.0.40:80",
       "source: \"[10.0.0.10]:1\" has brackets around an IPv4 address; write ADDR:PORT"},
      {"?protocol=tcp&source=10.0.0.10:0&destination=10.0.0.40:80",
       "source: 0 is no port; write a number from 1 to 65535"},
      {"?protocol=tcp&source=10.0.0.10:1&destination=10.0.0.40:65536",
       "destination: 65536 is no port; write a number from 1 to 65535"},
      {"?protocol=tcp&source=10.0.0.10:1&destination=10.0.0.40:http",
       "destination: \"http\" is no port; write a number from 1 to 65535"},
      {"?protocol=tcp&source=10.0.0:1&destination=10.0.0.40:80", "source: 10.0.0 is no IPv4 or IPv6 address"},
      {"?protocol=tcp&source=0.0.0.0:1&destination=10.0.0.40:80",
       "source: 0.0.0.0 is no address of one host"},
      {"?protocol=icmp" + ends,
       "source: 10.0.0.10:1 is no IPv4 or IPv6 address; icmp has no ports: write ADDR"},
      {"?protocol=tcp&source=10.0.0.10:1&destination=[fd00::40]:80",
       "destination: is not of the source's family; give two IPv4 addresses or two IPv6 addresses"},
  };
  for (const auto& [query, error] : cases)
    EXPECT_EQ(meaning(query), error) << query;
}

}  // namespace
}  // namespace nfsteer::api
