/* A program that knows the C interface only, with a policy in Python behind nfsteer-python.so.
 *
 *   driver HOST WEIGHTS WORKERS PICKS TICKS [NAME=VALUE...]
 *
 * WEIGHTS is "1,3,0". Each worker thread makes PICKS picks, of flows that differ in their source port, while the main
 * thread ticks TICKS times, a second of its clock apart. Backend n has n * 10 open connections. Prints one line for
 * each backend, "INDEX PICKS", and for whatever else was answered; or "error: TEXT" and exit 3. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nfsteer/policy.h"

enum { BACKENDS_MAX = 64, WORKERS_MAX = 16, OPTIONS_MAX = 16 };

typedef struct worker {
  pthread_t thread;
  const nfsteer_policy *policy;
  void *self;
  uint32_t number, picks, backends;
  uint64_t counts[BACKENDS_MAX], none, failed, wrong;
} worker;

static void *work(void *argument) {
  worker *me = argument;
  nfsteer_random random = {{me->number + 1, 2, 3, 4}};
  nfsteer_context context = {&random, 1000000000, me->number};
  nfsteer_flow flow = {.source = {10, 1, 0, 10}, .destination = {10, 9, 0, 40}, .destination_port = 80,
                       .protocol = 6, .family = NFSTEER_IPV4};
  for (uint32_t n = 0; n < me->picks; ++n) {
    flow.source_port = (uint16_t)n;
    const uint32_t index = me->policy->pick(me->self, &flow, &context);
    if (index < me->backends) {
      ++me->counts[index];
    } else {
      ++*(index == NFSTEER_NO_BACKEND ? &me->none : index == NFSTEER_FAILED ? &me->failed : &me->wrong);
    }
  }
  return NULL;
}

static void *create(const nfsteer_policy *policy, char *weights, uint32_t workers, uint32_t *count, char **options,
                    int option_count) {
  static nfsteer_live live[BACKENDS_MAX];
  static nfsteer_backend backends[BACKENDS_MAX];
  static nfsteer_option parsed[OPTIONS_MAX];
  for (char *each = strtok(weights, ","); each != NULL && *count < BACKENDS_MAX; each = strtok(NULL, ",")) {
    nfsteer_backend *backend = &backends[*count];
    *backend = (nfsteer_backend){.address = {10, 0, 0, (uint8_t)*count}, .family = NFSTEER_IPV4,
                                 .weight = (uint32_t)atoi(each), .data = "zone=a", .live = &live[*count]};
    live[*count].active = *count * 10;
    ++*count;
  }
  for (int n = 0; n < option_count && n < OPTIONS_MAX; ++n) {
    char *value = strchr(options[n], '=');
    *value = '\0';
    parsed[n] = (nfsteer_option){options[n], value + 1};
  }
  const nfsteer_host host = {.abi = NFSTEER_POLICY_ABI, .struct_size = sizeof host};
  const nfsteer_input input = {.struct_size = sizeof input, .workers = workers, .backend_count = *count,
                               .option_count = (uint32_t)option_count, .backends = backends, .options = parsed,
                               .host = &host};
  char error[1024] = "";
  void *self = policy->create(&input, error, sizeof error);
  if (self == NULL) printf("error: %s\n", error);
  return self;
}

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 2;
  const nfsteer_policy *(*entry)(void) = NULL;
  *(void **)&entry = dlsym(library, "nfsteer_policy_entry");
  const nfsteer_policy *policy = entry();
  const uint32_t workers = (uint32_t)atoi(argv[3]);
  uint32_t count = 0;
  void *self = create(policy, argv[2], workers, &count, argv + 6, argc - 6);
  if (self == NULL) return 3;

  static worker all[WORKERS_MAX];
  for (uint32_t n = 0; n < workers; ++n) {
    all[n] = (worker){.policy = policy, .self = self, .number = n, .picks = (uint32_t)atoi(argv[4]), .backends = count};
    pthread_create(&all[n].thread, NULL, work, &all[n]);
  }
  for (int n = 0; n < atoi(argv[5]); ++n)
    policy->tick(self, (uint64_t)(n + 1) * 1000000000u);
  worker sum = {0};
  for (uint32_t n = 0; n < workers; ++n) {
    pthread_join(all[n].thread, NULL);
    for (uint32_t index = 0; index < count; ++index)
      sum.counts[index] += all[n].counts[index];
    sum.none += all[n].none;
    sum.failed += all[n].failed;
    sum.wrong += all[n].wrong;
  }
  if (atoi(argv[5]) > 0) policy->tick(self, (uint64_t)atoi(argv[5]) * 1000000000u);
  policy->destroy(self);
  for (uint32_t index = 0; index < count; ++index)
    printf("%u %llu\n", index, (unsigned long long)sum.counts[index]);
  printf("none %llu\nfailed %llu\nwrong %llu\n", (unsigned long long)sum.none, (unsigned long long)sum.failed,
         (unsigned long long)sum.wrong);
  return 0;
}
