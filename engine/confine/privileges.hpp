// What the engine is allowed to do (capabilities(7)), and how it gives up the rest.
//
// Before it gives anything up the engine opens what others may not: the control socket and its folder. Then
// it keeps CAP_NET_ADMIN (every netlink message to the queues and every table commit) and CAP_NET_RAW (the
// raw socket that tables are read and written through, and ICMP health checks). Programs are run by another
// process from then on (confine/spawner.hpp).
#pragma once

#include <sys/types.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "core/result.hpp"

namespace nfsteer::confine {

// A sanitizer watches its own process with ptrace(2), from inside, and makes system calls that nobody else
// does: such a build stays dumpable, and its filter refuses nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

// Whether this process has the two capabilities.
core::Result<void> check_privileges();

inline constexpr uid_t kNobody = 65534;  // user and group

struct User {
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;  // all of them
};
// Of the system's users. Errors: there is none of that name, or it is nobody.
core::Result<User> find_user(const std::string& name);

// This process becomes `user` (null: stays who it is) and keeps, of what it has, these capabilities: its
// bounding set is reduced to them where it may be (CAP_SETPCAP), the inheritable and ambient ones are gone.
// No program gives it any right again (PR_SET_NO_NEW_PRIVS), nobody of the same user may look into its memory
// (PR_SET_DUMPABLE), and it leaves no core dumps. While there is one thread only: they are of threads.
// Errors: it may not become that user.
core::Result<void> keep_only(std::initializer_list<unsigned> capabilities, const User* user);

// Makes a file that this process has just made somebody else's; -1 changes nothing. What is there meanwhile
// instead, in a folder that others may write to, is not: neither what a link leads to nor what was not ours.
// The result is an errno, or 0.
int give_away(const std::string& path, uid_t user, gid_t group);

}  // namespace nfsteer::confine
