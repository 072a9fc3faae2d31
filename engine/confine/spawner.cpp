#include "confine/spawner.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include <linux/capability.h>

namespace nfsteer::confine {
namespace {

constexpr std::size_t kRequestMax = std::size_t{128} << 10;  // bytes
constexpr std::size_t kGivenCount = Program::kGivenMax + 1;
using Room = std::array<char, CMSG_SPACE(sizeof(int) * kGivenCount)>;

enum class Operation : std::uint8_t { launch, end };

// Followed by words, each with a NUL at its end: the path, the arguments, the environment.
struct Request {
  Operation operation;
  Program::As as;
  std::uint8_t given_count;
  std::array<std::int8_t, kGivenCount> given_as;  // of the descriptors that come with it
  std::uint32_t argument_count;
  std::uint32_t environment_count;
  std::int32_t group;  // to end
};

// With a pidfd, where there is a process.
struct Answer {
  std::int32_t pid;  // -1: no process
  std::int32_t error;
};

bool send_with(int socket, std::string_view bytes, const std::vector<int>& descriptors) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) Room room{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = room.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof(int) * descriptors.size());
  }
  ssize_t sent = -1;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(bytes.size());
}

struct Received {
  std::size_t size = 0;  // 0: the other side has gone
  std::vector<Descriptor> descriptors;
};

Received receive(int socket, void* to, std::size_t size_max) {
  iovec part{to, size_max};
  alignas(cmsghdr) Room room{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room.data();
  message.msg_controllen = room.size();
  ssize_t size = -1;
  do {
    size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  Received received;
  if (size > 0) received.size = static_cast<std::size_t>(size);
  const cmsghdr* header = size > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return received;
  std::array<int, kGivenCount> numbers{};
  const std::size_t count = std::min((header->cmsg_len - CMSG_LEN(0)) / sizeof(int), numbers.size());
  std::memcpy(numbers.data(), CMSG_DATA(header), count * sizeof(int));
  for (std::size_t i = 0; i < count; ++i)
    received.descriptors.emplace_back(numbers[i]);
  return received;
}

// The words of a request, in their order.
class Words {
 public:
  explicit Words(std::string_view bytes) : left_(bytes) {}
  std::string next() {
    const auto end = left_.find('\0');
    std::string word(left_.substr(0, end));
    left_.remove_prefix(end == left_.npos ? left_.size() : end + 1);
    return word;
  }
  bool is_over() const { return left_.empty(); }

 private:
  std::string_view left_;
};

// The new process, from the fork to its end.
class Server {
 public:
  Server(int socket, const Spawner::Options& options) : socket_(socket), options_(options) {}

  void serve() {
    std::vector<char> bytes(kRequestMax);
    while (true) {
      const Received received = receive(socket_, bytes.data(), bytes.size());
      if (received.size == 0) return end_all();
      Request request{};
      if (received.size < sizeof(request)) continue;
      std::memcpy(&request, bytes.data(), sizeof(request));
      const std::string_view words(bytes.data() + sizeof(request), received.size - sizeof(request));
      const Answer answer = request.operation == Operation::end ? end(request.group)
                                                                : start(request, words, received.descriptors);
      std::vector<int> pidfd;
      if (answer.pid >= 0) pidfd.push_back(started_.back().pidfd.number());
      if (!send_with(socket_, {reinterpret_cast<const char*>(&answer), sizeof(answer)}, pidfd))
        return end_all();
    }
  }

 private:
  // A zombie still is a process: its number belongs to nobody else.
  static bool is_reaped(const Launched& each) {
    return syscall(SYS_pidfd_send_signal, each.pidfd.number(), 0, nullptr, 0) != 0 && errno == ESRCH;
  }

  Answer end(pid_t group) const {
    const auto found = std::ranges::find(started_, group, &Launched::pid);
    if (found == started_.end() || is_reaped(*found)) return {-1, ESRCH};
    return {-1, kill(-group, SIGKILL) == 0 ? 0 : errno};
  }

  // The kernel would do so as the engine ends (PR_SET_PDEATHSIG), but with the engine's right to: it may not
  // signal those of nobody.
  void end_all() const {
    for (const Launched& each : started_)
      if (!is_reaped(each)) kill(-each.pid, SIGKILL);
  }

  Answer start(const Request& request, std::string_view bytes, const std::vector<Descriptor>& descriptors) {
    std::erase_if(started_, is_reaped);
    const auto program = read(request, bytes, descriptors);
    if (!program) return {-1, EINVAL};
    auto launched = confine::launch(*program, {true, options_.engine ? &*options_.engine : nullptr});
    if (!launched) return {-1, launched.error()};
    started_.push_back(std::move(*launched));
    return {started_.back().pid, started_.back().error};
  }

  std::optional<Program> read(const Request& request, std::string_view bytes,
                              const std::vector<Descriptor>& descriptors) const {
    if (request.given_count != descriptors.size() || request.argument_count > kRequestMax ||
        request.environment_count > kRequestMax)
      return std::nullopt;
    Program program;
    program.as = request.as;
    Words words(bytes);
    program.path = words.next();
    for (std::uint32_t i = 0; i < request.argument_count && !words.is_over(); ++i)
      program.arguments.push_back(words.next());
    for (std::uint32_t i = 0; i < request.environment_count && !words.is_over(); ++i)
      program.environment.push_back(words.next());
    if (program.as == Program::As::nobody)
      return program.arguments.empty() || !descriptors.empty() ? std::nullopt : std::optional(program);
    program.path = options_.path;
    program.arguments.insert(program.arguments.begin(), options_.arguments.begin(), options_.arguments.end());
    program.environment.clear();  // LD_PRELOAD would make it another program
    for (char** each = environ; *each != nullptr; ++each)
      program.environment.emplace_back(*each);
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
      const int as = request.given_as.at(i);
      if (as < 0 || as > Program::kGivenMax) return std::nullopt;
      program.given.push_back({descriptors[i].number(), as});
    }
    return program;
  }

  int socket_;
  const Spawner::Options& options_;
  std::vector<Launched> started_;
};

[[noreturn]] void run_server(int socket, const Spawner::Options& options) {
  prctl(PR_SET_NAME, "nfsteer-spawner", 0, 0, 0);
  // Meant for the engine, whose end is the end of this process.
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP})
    signal(number, SIG_IGN);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(null, STDIN_FILENO);
  dup2(null, STDOUT_FILENO);
  constexpr int kSocket = 3;
  if (socket != kSocket && dup2(socket, kSocket) < 0) _exit(1);
  close_range(kSocket + 1, ~0U, 0);
  fcntl(kSocket, F_SETFD, FD_CLOEXEC);
  if (!keep_only({CAP_SETUID, CAP_SETGID, CAP_KILL}, nullptr)) _exit(1);
  Server(kSocket, options).serve();
  _exit(0);
}

}  // namespace

core::Result<std::unique_ptr<Spawner>> Spawner::start(const Options& options) {
  constexpr const char* kThing = "the process that runs programs";
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return core::system_error(kThing, std::strerror(errno));
  Descriptor ours(ends[0]);
  const Descriptor theirs(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return core::system_error(kThing, std::strerror(errno));
  if (pid == 0) run_server(theirs.number(), options);
  return std::unique_ptr<Spawner>(new Spawner(pid, std::move(ours)));
}

Spawner::~Spawner() {
  socket_.close();
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

tl::expected<Launched, int> Spawner::launch(const Program& program) {
  if (program.given.size() > kGivenCount) return tl::unexpected(EINVAL);
  Request request{};
  request.operation = Operation::launch;
  request.as = program.as;
  request.given_count = static_cast<std::uint8_t>(program.given.size());
  request.argument_count = static_cast<std::uint32_t>(program.arguments.size());
  request.environment_count = static_cast<std::uint32_t>(program.environment.size());
  std::vector<int> descriptors;
  for (std::size_t i = 0; i < program.given.size(); ++i) {
    request.given_as[i] = static_cast<std::int8_t>(program.given[i].as);
    descriptors.push_back(program.given[i].descriptor);
  }
  std::string bytes(reinterpret_cast<const char*>(&request), sizeof(request));
  bytes.append(program.path).push_back('\0');
  for (const auto* words : {&program.arguments, &program.environment})
    for (const std::string& each : *words)
      bytes.append(each).push_back('\0');
  if (bytes.size() > kRequestMax) return tl::unexpected(E2BIG);
  if (!send_with(socket_.number(), bytes, descriptors)) return tl::unexpected(errno);
  Answer answer{};
  Received received = receive(socket_.number(), &answer, sizeof(answer));
  if (received.size != sizeof(answer)) return tl::unexpected(EPIPE);
  if (answer.pid < 0) return tl::unexpected(answer.error);
  // There was no descriptor left for it here: the process is there nevertheless.
  if (received.descriptors.empty()) return Launched{answer.pid, Descriptor(), EMFILE};
  return Launched{answer.pid, std::move(received.descriptors.front()), answer.error};
}

void Spawner::end(pid_t group) {
  Request request{};
  request.operation = Operation::end;
  request.group = group;
  Answer answer{};
  if (send_with(socket_.number(), {reinterpret_cast<const char*>(&request), sizeof(request)}, {}))
    receive(socket_.number(), &answer, sizeof(answer));
}

}  // namespace nfsteer::confine
