// Whole screens of `nfsteer top`.
#include <algorithm>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/top/text.hpp"
#include "cli/top/top_view.hpp"
#include "cli_top_support.hpp"

namespace nfsteer::cli::top {
namespace {

using testing::HasSubstr;
using testing::Not;

// A service with a backend in each state, and one with nothing remarkable.
Sample busy_sample(double uptime_s, std::uint64_t steps) {
  ServiceSample web = make_service(
      "web",
      {make_backend("10.0.0.20:80", 1, 0.125, 10 * steps), make_backend("10.0.0.30:80", 3, 0.375, 20 * steps),
       make_backend("10.0.0.103:80", 4, 0.5, 50 * steps), make_backend("10.0.0.104:80", 2, 0, 7)});
  web.backends[0].active = 12;
  web.backends[0].unanswered = 3;
  web.backends[1].active = 3456;
  web.backends[1].state = "filling";
  web.backends[1].health = "up";
  web.backends[1].last_check = "status 200";
  web.backends[3].state = "down";
  web.backends[3].health = "down";
  web.backends[3].last_check = "connection refused by the host";
  web.backends[3].effective_weight = 0;
  ServiceSample mail = make_service("mail-in", {make_backend("[fd00::20]:25", 1, 1, 5 * steps)});
  mail.vip = "[fd00::40]:25";
  mail.panic = true;
  mail.on_backup = true;
  mail.no_backend = 2 * steps;
  mail.backends[0].active = 1;
  Sample sample = make_sample(uptime_s, {web, mail});
  sample.workers = {{1000 + 80 * steps, 100 + 10 * steps, 5, 4 + steps, 0}, {2000, 200, 0, 0, 1}};
  return sample;
}

Model busy_model() {
  Model model;
  model.add(busy_sample(3723, 1));
  model.add(busy_sample(3724, 2));
  return model;
}

// As a terminal shows it: lines end with their last character that is no blank.
std::string text_of(const Screen& screen) {
  std::string text = "\n";
  for (const std::string& line : screen.lines)
    text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  return text;
}

std::string shown(const Model& model, std::size_t width, std::size_t height, const ViewState& state = {},
                  const std::string& notice = {}) {
  return text_of(render(model.sample(), model.rates(), state, notice, {width, height, false, false}));
}

TEST(TopView, Wide) {
  EXPECT_EQ(shown(busy_model(), 140, 16), R"(
nfsteer 1.2.3  pid 4711  up 1:02:04  revision 7  rule commits 9
new 85.0/s  packets seen 80.0/s  conntrack 655 of 65536 (1.0%)
worker  packets/s    batch  waiting    dropped, full  dropped, socket
     0       80.0      8.0        5         6 +1.0/s                0
     1        0.0        -        0                0                1
service / backend  state       health  weight effective  active   new/s   total unanswered  share expected | expected           last check
web  10.0.0.40:80 tcp  connection  weighted-random         3468    80.0     167          3
  10.0.0.20:80     active      -            1         1      12    10.0      20          3  12.5%    12.5% ####|
  10.0.0.30:80     filling     up           3         3    3456    20.0      40          0  25.0%    37.5% ########    |        status 200
  10.0.0.103:80    active      -            4         4       0    50.0     100          0  62.5%    50.0% ################|###
  10.0.0.104:80    down        down         2         0       0     0.0       7          0   0.0%     0.0%                      connection ~
mail-in  PANIC  ON BACKUP  NO BACKEND 2.0/s  [fd00::40]       1     5.0      10          0
  [fd00::20]:25    active      -            1         1       1     5.0      10          0 100.0%   100.0% ###################|


q quit  h help  s sort: configured  / filter  p pause  2/2 services
)");
}

TEST(TopView, OfAHundredColumns) {
  const Model model = busy_model();
  EXPECT_EQ(text_of(render(model.sample(), model.rates(), {}, {}, {100, 16, true, false})), R"(
nfsteer 1.2.3  pid 4711  up 1:02:04  revision 7  rule commits 9
new 85.0/s  packets seen 80.0/s  conntrack 655 of 65536 (1.0%)
worker  packets/s    batch  waiting    dropped, full  dropped, socket
     0       80.0      8.0        5         6 +1.0/s                0
     1        0.0        -        0                0                1
service / backend  state       health  weight effective  active   new/s   total  share │ expected
web  10.0.0.40:80 tcp  connection  weighted-random         3468    80.0     167
  10.0.0.20:80     active      -            1         1      12    10.0      20  12.5% ██│
  10.0.0.30:80     filling     up           3         3    3456    20.0      40  25.0% █████▎ │
  10.0.0.103:80    active      -            4         4       0    50.0     100  62.5% ██████████│██
  10.0.0.104:80    down        down         2         0       0     0.0       7   0.0%
mail-in  PANIC  ON BACKUP  NO BACKEND 2.0/s  [fd00::40]       1     5.0      10
  [fd00::20]:25    active      -            1         1       1     5.0      10 100.0% ████████████│


q quit  h help  s sort: configured  / filter  p pause  2/2 services
)");
}

TEST(TopView, OfEightyColumns) {
  EXPECT_EQ(shown(busy_model(), 80, 24), R"(
nfsteer 1.2.3  pid 4711  up 1:02:04  revision 7  rule commits 9
new 85.0/s  packets seen 80.0/s  conntrack 655 of 65536 (1.0%)
worker  packets/s    batch  waiting    dropped, full  dropped, socket
     0       80.0      8.0        5         6 +1.0/s                0
     1        0.0        -        0                0                1
service / backend   state       weight  active   new/s   total  share | expected
web  10.0.0.40:80 tcp  connection  wei    3468    80.0     167
  10.0.0.20:80      active           1      12    10.0      20  12.5% ##|
  10.0.0.30:80      filling          3    3456    20.0      40  25.0% ####  |
  10.0.0.103:80     active           4       0    50.0     100  62.5% ########|#
  10.0.0.104:80     down             2       0     0.0       7   0.0%
mail-in  PANIC  ON BACKUP  NO BACKEND        1     5.0      10
  [fd00::20]:25     active           1       1     5.0      10 100.0% #########|










q quit  h help  s sort: configured  / filter  p pause  2/2 services
)");
}

TEST(TopView, OfFewLines) {
  EXPECT_EQ(shown(busy_model(), 60, 8), R"(
new 85.0/s  packets seen 80.0/s  conntrack 655 of 65536 (1.0
service / backend      state         new/s  share | expected
web  10.0.0.40:80 tcp  connection     80.0
  10.0.0.20:80         active         10.0  12.5% ##|
  10.0.0.30:80         filling        20.0  25.0% ####  |
  10.0.0.103:80        active         50.0  62.5% ########|#
  10.0.0.104:80        down            0.0   0.0%
q quit  h help  s sort: configured  / filter  p pause  2/2 s
)");
}

TEST(TopView, Tiny) {
  EXPECT_EQ(shown(busy_model(), 20, 5), R"(
new 85.0/s  packets
web  10.0.0.    80.0
  10.0.0.20~    10.0
  10.0.0.30~    20.0
q quit  h help  s so
)");
}

TEST(TopView, AsText) {
  EXPECT_EQ(shown(busy_model(), 132, 0), R"(
nfsteer 1.2.3  pid 4711  up 1:02:04  revision 7  rule commits 9
new 85.0/s  packets seen 80.0/s  conntrack 655 of 65536 (1.0%)
worker  packets/s    batch  waiting    dropped, full  dropped, socket
     0       80.0      8.0        5         6 +1.0/s                0
     1        0.0        -        0                0                1
service / backend  state       health  weight effective  active   new/s   total unanswered  share expected | expected   last check
web  10.0.0.40:80 tcp  connection  weighted-random         3468    80.0     167          3
  10.0.0.20:80     active      -            1         1      12    10.0      20          3  12.5%    12.5% ##|
  10.0.0.30:80     filling     up           3         3    3456    20.0      40          0  25.0%    37.5% #####  |     status 200
  10.0.0.103:80    active      -            4         4       0    50.0     100          0  62.5%    50.0% #########|##
  10.0.0.104:80    down        down         2         0       0     0.0       7          0   0.0%     0.0%              connection ~
mail-in  PANIC  ON BACKUP  NO BACKEND 2.0/s  [fd00::40]       1     5.0      10          0
  [fd00::20]:25    active      -            1         1       1     5.0      10          0 100.0%   100.0% ###########|
)");
}

TEST(TopView, ConntrackNotFollowed) {
  Model model;
  for (const std::uint64_t steps : {1U, 2U}) {
    Sample sample = busy_sample(static_cast<double>(steps), steps);
    sample.followed = false;
    sample.services.pop_back();
    model.add(sample);
  }
  EXPECT_EQ(shown(model, 110, 12), R"(
nfsteer 1.2.3  pid 4711  up 2 s  revision 7  rule commits 9
new 80.0/s  packets seen 80.0/s  conntrack 655 of 65536 (1.0%), not followed
worker  packets/s    batch  waiting    dropped, full  dropped, socket
     0       80.0      8.0        5         6 +1.0/s                0
     1        0.0        -        0                0                1
service / backend state       health  weight effective  active   new/s   total unanswered  share | expected
web  10.0.0.40:80 tcp  connection  weighted-random           -    80.0     167          -
  10.0.0.20:80    active      -            1         1       -    10.0      20          -  12.5% ##|
  10.0.0.30:80    filling     up           3         3       -    20.0      40          -  25.0% #####  |
  10.0.0.103:80   active      -            4         4       -    50.0     100          -  62.5% ##########|##
  10.0.0.104:80   down        down         2         0       -     0.0       7          -   0.0%
q quit  h help  s sort: configured  / filter  p pause  1/1 services
)");
}

TEST(TopView, EngineAway) {
  Model model = busy_model();
  model.lose();
  EXPECT_EQ(shown(model, 80, 12, {}, "ENGINE AWAY for 3 s: control socket /run/x: no engine listens there"),
            R"(
nfsteer 1.2.3  pid 4711  up 1:02:04  revision 7  rule commits 9
ENGINE AWAY for 3 s: control socket /run/x: no engine listens there
worker  packets/s    batch  waiting    dropped, full  dropped, socket
     0          -        -        5                6                0
     1          -        -        0                0                1
service / backend   state       weight  active   new/s   total  share | expected
web  10.0.0.40:80 tcp  connection  wei    3468       -     167
  10.0.0.20:80      active           1      12       -      20      -   |
  10.0.0.30:80      filling          3    3456       -      40      -        |
  10.0.0.103:80     active           4       0       -     100      -          |
  10.0.0.104:80     down             2       0       -       7      -
q quit  h help  s sort: configured  / filter  p pause  2/2 services  0%
)");
}

TEST(TopView, Help) {
  ViewState state;
  state.is_help = true;
  const std::string text = shown(busy_model(), 80, 24, state);
  EXPECT_THAT(text, HasSubstr("q, Ctrl-C       end"));
  EXPECT_THAT(text, HasSubstr("any other key leads back"));
}

TEST(TopView, IsNeverLargerThanTheTerminal) {
  const Model model = busy_model();
  ViewState help;
  help.is_help = true;
  ViewState typing;
  typing.is_typing = true;
  typing.filter = "w";
  ViewState scrolled;
  scrolled.scroll = 1000;
  scrolled.is_paused = true;
  for (const ViewState& state : {ViewState{}, help, typing, scrolled})
    for (std::size_t width = 1; width < 180; width += 1 + width / 20)
      for (std::size_t height = 1; height < 40; height += 1 + height / 10)
        for (const std::string& notice : {std::string(), std::string(300, 'x')}) {
          const Screen screen =
              render(model.sample(), model.rates(), state, notice, {width, height, true, true});
          EXPECT_LE(screen.lines.size(), height);
          for (const std::string& line : screen.lines)
            EXPECT_LE(columns_of(line), width) << width << "x" << height << ": " << line;
        }
}

TEST(TopView, StylesChangeNothingButStyles) {
  const Model model = busy_model();
  for (const std::size_t width : {20U, 80U, 140U}) {
    std::string styled = text_of(render(model.sample(), model.rates(), {}, {}, {width, 24, true, true}));
    std::string bare;
    for (std::size_t i = 0; i < styled.size(); ++i) {
      if (styled[i] == '\x1b') {
        i = styled.find('m', i);
      } else {
        bare += styled[i];
      }
    }
    const auto without_blanks = [](std::string text) {
      std::erase(text, ' ');
      return text;
    };
    EXPECT_THAT(styled, HasSubstr("\x1b["));
    EXPECT_EQ(
        without_blanks(bare),
        without_blanks(text_of(render(model.sample(), model.rates(), {}, {}, {width, 24, true, false}))));
  }
}

TEST(TopView, ColoursWhatIsNotAsItShouldBe) {
  Model model = busy_model();
  const std::string text = text_of(render(model.sample(), model.rates(), {}, {}, {140, 24, true, true}));
  for (const char* coloured : {"\x1b[1;31mdown\x1b[0m", "\x1b[33mfilling\x1b[0m", "\x1b[1;31mPANIC\x1b[0m",
                               "\x1b[33mON BACKUP\x1b[0m", "\x1b[1;31m6 +1.0/s\x1b[0m"})
    EXPECT_THAT(text, HasSubstr(coloured));
  for (const char* calm : {"mactive", "mup", "m-"})
    EXPECT_THAT(text, Not(HasSubstr(calm)));
}

TEST(TopView, AsciiIsAscii) {
  const std::string text = shown(busy_model(), 30, 24) + shown(busy_model(), 140, 0);
  EXPECT_TRUE(
      std::ranges::all_of(text, [](char each) { return each == '\n' || (each >= ' ' && each <= '~'); }));
}

TEST(TopView, SortsTheBackendsOfAService) {
  ViewState state;
  const auto places = [&] {
    const std::string text = shown(busy_model(), 80, 24, state);
    return std::vector{text.find("10.0.0.20:80"), text.find("10.0.0.30:80"), text.find("10.0.0.103:80")};
  };
  auto at = places();
  EXPECT_TRUE(at[0] < at[1] && at[1] < at[2]) << "as configured";
  state.sort = SortBy::rate;
  at = places();
  EXPECT_TRUE(at[2] < at[1] && at[1] < at[0]);
  state.sort = SortBy::active;
  at = places();
  EXPECT_TRUE(at[1] < at[0] && at[0] < at[2]);
}

TEST(TopView, FiltersServicesByAPartOfTheirNameInAnyCase) {
  ViewState state;
  state.filter = "AIL";
  const std::string text = shown(busy_model(), 80, 24, state);
  EXPECT_THAT(text, HasSubstr("mail-in"));
  EXPECT_THAT(text, Not(HasSubstr("10.0.0.20")));
  EXPECT_THAT(text, HasSubstr("/ filter: AIL"));
  EXPECT_THAT(text, HasSubstr("1/2 services"));
  state.filter = "nothing";
  EXPECT_THAT(shown(busy_model(), 80, 24, state), HasSubstr("no service has that in its name"));
}

TEST(TopView, ShowsTheFilterThatIsTyped) {
  ViewState state;
  state.is_typing = true;
  state.filter = "we";
  EXPECT_THAT(shown(busy_model(), 80, 24, state), HasSubstr("\nfilter: we_"));
}

TEST(TopView, AServiceThatIsScrolledIntoKeepsItsLine) {
  ViewState state;
  state.scroll = 2;
  const Screen screen = render(busy_model().sample(), busy_model().rates(), state, {}, {80, 8, false, false});
  ASSERT_EQ(screen.lines.size(), 8U);
  EXPECT_THAT(screen.lines[2], HasSubstr("web"));
  EXPECT_THAT(screen.lines[3], HasSubstr("10.0.0.103:80"));
}

TEST(TopView, MoreWorkersThanAQuarterOfTheScreenStandBelow) {
  Model model;
  Sample sample = busy_sample(1, 1);
  sample.workers.assign(64, {0, 0, 1, 2, 3});
  sample.workers[17].waiting = 9;
  model.add(sample);
  ViewState state;
  const std::string first = shown(model, 80, 24, state);
  EXPECT_THAT(first, HasSubstr("workers 64  waiting 72 (worker 17: 9)  dropped: full 128, socket 192"));
  state.scroll = 1000;
  const std::string last = shown(model, 80, 24, state);
  EXPECT_THAT(last, HasSubstr("\n    63          -"));
  EXPECT_THAT(last, HasSubstr("2/2 services  100%"));
}

TEST(TopView, TenThousandBackendsAreScrolledThroughToTheLast) {
  std::vector<ServiceSample> services;
  for (int i = 0; i < 1000; ++i) {
    std::vector<BackendSample> backends;
    for (int j = 0; j < 10; ++j)
      backends.push_back(make_backend(fmt::format("10.{}.{}.{}:80", i / 250, i % 250, j), 1, 0.1, 0));
    services.push_back(make_service(fmt::format("web{}", i), std::move(backends)));
  }
  Model model;
  model.add(make_sample(1, std::move(services)));
  ViewState state;
  Screen screen = render(model.sample(), model.rates(), state, {}, {100, 30, true, false});
  EXPECT_EQ(screen.lines.size(), 30U);
  // 11,000 lines, of which 30 less two, three of workers, the heading and the footer are seen.
  EXPECT_EQ(screen.limits.scroll_max, 11000U - 23);
  EXPECT_EQ(screen.limits.page, 22U);
  state.scroll = screen.limits.scroll_max;
  const std::string last = text_of(render(model.sample(), model.rates(), state, {}, {100, 30, true, false}));
  EXPECT_THAT(last, HasSubstr("10.3.249.9:80"));
  EXPECT_THAT(last, HasSubstr("10.3.249.0:80"));
}

TEST(TopView, WithoutServicesItSaysSo) {
  Model model;
  model.add(make_sample(1, {}));
  EXPECT_THAT(shown(model, 80, 24), HasSubstr("no services"));
}

}  // namespace
}  // namespace nfsteer::cli::top
