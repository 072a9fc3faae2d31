#include "confine/privileges.hpp"

#include <cap-ng.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "confine/descriptor.hpp"

namespace nfsteer::confine {
namespace {

core::Failure cannot(const char* what) {
  return core::system_error("privileges", fmt::format("{}: {}", what, std::strerror(errno)));
}

// No saved or real id of another is left to go back to.
bool is_in_every_way(const User& user) {
  uid_t uids[3];
  gid_t gids[3];
  return getresuid(&uids[0], &uids[1], &uids[2]) == 0 && getresgid(&gids[0], &gids[1], &gids[2]) == 0 &&
         std::ranges::count(uids, user.uid) == 3 && std::ranges::count(gids, user.gid) == 3;
}

core::Result<void> become(const User& user) {
  if (is_in_every_way(user)) return {};
  // The C library's calls change every thread.
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setgroups(user.groups.size(), user.groups.data()) == 0 &&
      setresgid(user.gid, user.gid, user.gid) == 0 && setresuid(user.uid, user.uid, user.uid) == 0 &&
      prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == 0)
    return {};
  return core::system_error("user", fmt::format("cannot become user {}: {}", user.uid, std::strerror(errno)),
                            "start as root, or with CAP_SETUID and CAP_SETGID; or leave it out");
}

void reduce_bounding_set(std::initializer_list<unsigned> kept) {
  for (unsigned each = 0; prctl(PR_CAPBSET_READ, each, 0, 0, 0) >= 0; ++each)
    if (std::ranges::find(kept, each) == kept.end()) prctl(PR_CAPBSET_DROP, each, 0, 0, 0);
}

}  // namespace

core::Result<void> check_privileges() {
  capng_get_caps_process();
  std::string missing;
  if (capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) == 0) missing = "CAP_NET_ADMIN";
  if (capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_RAW) == 0)
    missing += missing.empty() ? "CAP_NET_RAW" : " and CAP_NET_RAW";
  if (missing.empty()) return {};
  return core::system_error("privileges", "this process lacks " + missing,
                            "run it as root, or in a container with NET_ADMIN and NET_RAW added");
}

core::Result<User> find_user(const std::string& name) {
  errno = 0;
  const passwd* entry = getpwnam(name.c_str());
  if (entry == nullptr)
    return core::usage_error("user",
                             errno == 0 ? fmt::format("there is no user \"{}\" on this system", name)
                                        : fmt::format("user \"{}\": {}", name, std::strerror(errno)),
                             "make it with useradd --system, or name another one");
  if (entry->pw_uid == kNobody)
    return core::usage_error("user", fmt::format("{} is who health checks run their programs as", name),
                             "make one for the engine with useradd --system");
  User user{entry->pw_uid, entry->pw_gid, {}};
  int count = 16;
  user.groups.resize(static_cast<std::size_t>(count));
  while (getgrouplist(name.c_str(), user.gid, user.groups.data(), &count) < 0)
    user.groups.resize(static_cast<std::size_t>(count));
  user.groups.resize(static_cast<std::size_t>(count));
  return user;
}

core::Result<void> keep_only(std::initializer_list<unsigned> capabilities, const User* user) {
  reduce_bounding_set(capabilities);
  if (user != nullptr)
    if (auto changed = become(*user); !changed) return changed;
  if (capng_get_caps_process() != 0) return cannot("its capabilities are not known");
  std::vector<unsigned> kept;
  std::ranges::copy_if(capabilities, std::back_inserter(kept),
                       [](unsigned each) { return capng_have_capability(CAPNG_PERMITTED, each) != 0; });
  capng_clear(CAPNG_SELECT_CAPS);
  for (const unsigned each : kept)
    capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), each);
  if (capng_apply(CAPNG_SELECT_CAPS) != 0) return cannot("capabilities cannot be given up");
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);  // the kernel has done so
  const rlimit no_core_dumps{0, 0};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return cannot("PR_SET_NO_NEW_PRIVS");
  if (prctl(PR_SET_DUMPABLE, kSanitized ? 1 : 0, 0, 0, 0) != 0) return cannot("PR_SET_DUMPABLE");
  if (setrlimit(RLIMIT_CORE, &no_core_dumps) != 0) return cannot("RLIMIT_CORE");
  return {};
}

int give_away(const std::string& path, uid_t user, gid_t group) {
  const Descriptor file(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!file || fstat(file.number(), &status) != 0) return errno;
  if (S_ISLNK(status.st_mode)) return ELOOP;
  if (status.st_uid != geteuid()) return EPERM;
  return fchownat(file.number(), "", user, group, AT_EMPTY_PATH) == 0 ? 0 : errno;
}

}  // namespace nfsteer::confine
