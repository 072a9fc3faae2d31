// Who is at the other end of a unix socket, as the kernel knows it (SO_PEERCRED, unix(7)).
#pragma once

#include <sys/types.h>

#include <optional>

namespace nfsteer::api {

// Of the control socket: root, this process's user, and the members of `group` may change things; whoever
// else reaches it may read. What counts are the user and the groups that the client had when it connected.
//
// Nothing: the client may change things. Else its user id; 65534 where this user namespace has none for it.
std::optional<uid_t> only_reads(int socket, std::optional<gid_t> group);

}  // namespace nfsteer::api
