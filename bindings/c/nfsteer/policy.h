/* The C interface for balancing policies: what a shared object has to be so that nfsteer takes it as a policy.
 *
 *   nfsteer policy new mine --language c     writes one that builds, with its test
 *   nfsteer policy SERVICE ./mine.so         a running engine takes it, no connection lost
 *   nfsteer simulate --policy ./mine.so      tries it in virtual time
 *
 * A policy is created on the control thread from a service's backends, asked by the workers, and destroyed on the
 * control thread when no worker can be inside it. When backends, weights or options change, a new one is created
 * before the old one is destroyed. Indices are 0-based. Plain C11 or later, and C++.
 *
 * Stability: the structures of one NFSTEER_POLICY_ABI never change; fields are only added at the end, and
 * struct_size says how many of them the other side knows. A policy of another ABI number is refused when it is loaded.
 * The order and size of nfsteer_flow, nfsteer_live and nfsteer_random are part of the ABI: they are read without a
 * call.
 *
 * OWNERSHIP is said for every pointer. "Host" is nfsteer, "policy" is the shared object.
 */
#ifndef NFSTEER_POLICY_H
#define NFSTEER_POLICY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NFSTEER_POLICY_ABI 1u

#if defined(__GNUC__)
#define NFSTEER_EXPORT __attribute__((visibility("default")))
#else
#define NFSTEER_EXPORT
#endif

/* Answers of pick() that are no index. */
#define NFSTEER_NO_BACKEND UINT32_MAX    /* no backend may take the flow: on_no_backend of the service decides */
#define NFSTEER_FAILED (UINT32_MAX - 1u) /* the policy itself failed: counted, weighted random decides */

#define NFSTEER_IPV4 4
#define NFSTEER_IPV6 6

/* The first packet's 5-tuple, as the client wrote it. 38 bytes, no padding: may be hashed as memory. */
typedef struct nfsteer_flow {
  uint8_t source[16];      /* network byte order; IPv4: the first four bytes, the rest are zero */
  uint8_t destination[16]; /* the same: the VIP */
  uint16_t source_port;    /* host byte order; ICMP echo: the identifier; 0: the protocol has none */
  uint16_t destination_port;
  uint8_t protocol; /* IANA number: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6, 132 SCTP */
  uint8_t family;   /* NFSTEER_IPV4 or NFSTEER_IPV6 */
} nfsteer_flow;

/* States of a backend, in nfsteer_live. */
enum {
  NFSTEER_ACTIVE = 0,
  NFSTEER_FILLING = 1,     /* slow start: its weight is growing */
  NFSTEER_DRAINING = 2,    /* this and all below: weight 0, takes no new flows */
  NFSTEER_STANDBY = 3,
  NFSTEER_STARTING = 4,
  NFSTEER_DOWN = 5,
  NFSTEER_MAINTENANCE = 6
};

/* What is known of a backend now. Written by the host while the policy reads: read it with the functions below. */
typedef struct nfsteer_live {
  uint32_t active;       /* open connections */
  uint32_t pending;      /* given to it, not yet seen as a connection */
  uint64_t latency;      /* opaque: see nfsteer_host::latency_us */
  uint8_t state;         /* NFSTEER_ACTIVE... */
  uint8_t reserved[47];
} nfsteer_live;

/* Random numbers of the calling worker; see nfsteer_random_next(). */
typedef struct nfsteer_random {
  uint64_t state[4];
} nfsteer_random;

typedef struct nfsteer_backend {
  uint8_t address[16];      /* network byte order; IPv4: the first four bytes */
  uint16_t port;            /* host byte order; 0: the port that the client asked for */
  uint8_t family;           /* NFSTEER_IPV4 or NFSTEER_IPV6 */
  uint8_t reserved;
  uint32_t weight;          /* effective: health, draining and slow start are in it; 0: must not be picked */
  const char *data;         /* `data` of the configuration, "" if none. OWNERSHIP: host; valid until create() returns */
  const nfsteer_live *live; /* NULL: connections are not counted. OWNERSHIP: host; valid until destroy() returns */
} nfsteer_backend;

typedef struct nfsteer_option {
  const char *name;  /* OWNERSHIP: host; valid until create() returns */
  const char *value; /* OWNERSHIP: host; valid until create() returns */
} nfsteer_option;

struct nfsteer_host;

/* What a policy is created from. */
typedef struct nfsteer_input {
  uint32_t struct_size;
  uint32_t workers;                /* that will ask at the same time, at least 1 */
  uint32_t backend_count;
  uint32_t option_count;
  const nfsteer_backend *backends; /* OWNERSHIP: host; valid until create() returns */
  const nfsteer_option *options;   /* as given, none twice. OWNERSHIP: host; valid until create() returns */
  const struct nfsteer_host *host; /* OWNERSHIP: host; valid for as long as the process */
} nfsteer_input;

/* What a worker brings along when it asks. */
typedef struct nfsteer_context {
  nfsteer_random *random; /* the worker's own. OWNERSHIP: host; valid until pick() returns */
  uint64_t now_ns;        /* a monotonic clock, as of the batch that the packet came in */
  uint32_t worker;        /* below nfsteer_input::workers; no two workers have the same one at one time */
} nfsteer_context;

/* What the host does for policies. */
typedef struct nfsteer_host {
  uint32_t abi;
  uint32_t struct_size;

  /* A built-in policy over the same backends: `spec` as in a configuration, "maglev,table_size=5003". The options of
   * `input` are not looked at. NULL: not possible, and `error` says why. Control thread: call it in create().
   * OWNERSHIP: spec, input, error: caller; the result: policy, which gives it to builtin_destroy() in destroy(). */
  void *(*builtin_create)(const char *spec, const nfsteer_input *input, char *error, size_t error_size);
  /* Any thread. An index or NFSTEER_NO_BACKEND. OWNERSHIP: all pointers stay the caller's. */
  uint32_t (*builtin_pick)(const void *builtin, const nfsteer_flow *flow, nfsteer_context *context);
  void (*builtin_destroy)(void *builtin);

  /* A good 64-bit hash of a flow; equal for equal flows and seeds. Any thread. */
  uint64_t (*flow_hash)(const nfsteer_flow *flow, uint64_t seed);

  /* Moving average of a backend's TCP handshake time, peak-sensitive, decaying; microseconds; 0: not known. Any
   * thread. `now_ns`: nfsteer_context::now_ns. */
  double (*latency_us)(const nfsteer_live *live, uint64_t now_ns);

  /* For built-ins that do something once a second: call it in tick(). */
  void (*builtin_tick)(void *builtin, uint64_t now_ns);
} nfsteer_host;

/* nfsteer_policy::flags */
#define NFSTEER_USES_LIVE 1u /* the policy reads nfsteer_live: pending connections are counted for it */

/* A policy. OWNERSHIP: policy; everything in it valid until the shared object is unloaded, which the host does not do
 * while a policy of it exists. */
typedef struct nfsteer_policy {
  uint32_t abi;         /* NFSTEER_POLICY_ABI */
  uint32_t struct_size; /* sizeof(nfsteer_policy) */
  const char *name;     /* for people */
  uint32_t flags;
  uint32_t reserved;

  /* Control thread; may allocate, must not take long (status and health checks wait). NULL: not possible, and
   * `error`, error_size bytes, holds the reason as text. OWNERSHIP: input and error: host; the result: policy, passed
   * to pick() and destroy(). */
  void *(*create)(const nfsteer_input *input, char *error, size_t error_size);

  /* Worker threads, several at a time: an index below backend_count whose weight is not 0, NFSTEER_NO_BACKEND, or
   * NFSTEER_FAILED. Must not block, allocate, throw or take locks; anything else it answers is counted as a fault and
   * weighted random decides. OWNERSHIP: all pointers stay the host's. */
  uint32_t (*pick)(void *self, const nfsteer_flow *flow, nfsteer_context *context);

  /* Control thread, when no worker can be in pick(). */
  void (*destroy)(void *self);

  /* Optional, may be NULL. Control thread, about once a second, while workers may be in pick(). */
  void (*tick)(void *self, uint64_t now_ns);
} nfsteer_policy;

/* The one symbol that a shared object exports. OWNERSHIP: policy. */
NFSTEER_EXPORT const nfsteer_policy *nfsteer_policy_entry(void);

/* Reading what the host writes meanwhile. */
#if defined(__GNUC__)
static inline uint32_t nfsteer_active(const nfsteer_live *live) {
  return __atomic_load_n(&live->active, __ATOMIC_RELAXED);
}
static inline uint32_t nfsteer_pending(const nfsteer_live *live) {
  return __atomic_load_n(&live->pending, __ATOMIC_RELAXED);
}
static inline uint8_t nfsteer_state(const nfsteer_live *live) {
  return __atomic_load_n(&live->state, __ATOMIC_RELAXED);
}
/* What a policy that evens out connections goes by; 0 where connections are not counted. */
static inline uint64_t nfsteer_load(const nfsteer_backend *backend) {
  return backend->live == NULL ? 0 : (uint64_t)nfsteer_active(backend->live) + nfsteer_pending(backend->live);
}
#endif

/* xoshiro256++ 1.0 (Blackman and Vigna): 64 uniform bits. Not for secrets. */
static inline uint64_t nfsteer_random_next(nfsteer_random *random) {
  uint64_t *s = random->state;
  const uint64_t sum = s[0] + s[3];
  const uint64_t result = ((sum << 23) | (sum >> 41)) + s[0];
  const uint64_t shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = (s[3] << 45) | (s[3] >> 19);
  return result;
}

/* A uniform number below `bound`, above 0. */
static inline uint32_t nfsteer_random_below(nfsteer_random *random, uint32_t bound) {
  return (uint32_t)(((nfsteer_random_next(random) >> 32) * bound) >> 32);
}

#ifdef __cplusplus
}
#endif

#endif
