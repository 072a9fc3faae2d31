// Who comes when, and wants what.
#include "config/fields.hpp"
#include "config/readers.hpp"
#include "experiment/scenario_reader.hpp"
#include "experiment/values.hpp"
#include "lab/workload.hpp"

namespace nfsteer::experiment {
namespace {

using config::Field;
using config::Place;
using core::Result;
using lab::Arrivals;
using lab::Workload;

constexpr Field<Workload> kWorkloadFields[] = {
    {"arrivals",
     [](const Place& place, Workload& workload) {
       return config::store(
           config::read_choice(place, {Arrivals::poisson, Arrivals::constant, Arrivals::bursty}),
           workload.arrivals);
     }},
    {"rate",
     [](const Place& place, Workload& workload) {
       return config::store(read_decimal(place, 0.001, 1e8, "write how many flows come per second"),
                            workload.rate);
     }},
    {"burst_on",
     [](const Place& place, Workload& workload) {
       return config::store(read_time(place, 1, kTimeMax, "write how long flows come, in the mean"),
                            workload.burst_on);
     }},
    {"burst_off",
     [](const Place& place, Workload& workload) {
       return config::store(read_time(place, 0, kTimeMax, "write how long none come, in the mean"),
                            workload.burst_off);
     }},
    {"duration",
     [](const Place& place, Workload& workload) -> Result<void> {
       const auto time = read_time(place, 1, kTimeMax, "write after what time no more flows come");
       if (!time) return tl::unexpected(time.error());
       workload.duration = *time;
       return {};
     }},
    {"flows",
     [](const Place& place, Workload& workload) {
       return config::store(
           config::read_number(place, 1, kFlowsMax, "write after how many flows no more come"),
           workload.flows);
     }},
    {"service_time",
     [](const Place& place, Workload& workload) {
       return config::store(read_times(place, lab::Shape::exponential), workload.service_time);
     }},
    {"size",
     [](const Place& place, Workload& workload) { return config::store(read_sizes(place), workload.size); }},
    {"clients",
     [](const Place& place, Workload& workload) {
       return config::store(
           config::read_number(place, 1, lab::kClientsMax, "write how many clients there are"),
           workload.clients);
     }},
    {"skew",
     [](const Place& place, Workload& workload) {
       return config::store(read_decimal(place, 0, 10, "write the exponent of Zipf's law; 0: all alike"),
                            workload.skew);
     }},
};

}  // namespace

Result<void> read_workload(const Place& place, Workload& workload) {
  if (auto read = config::read_fields(place, kWorkloadFields, workload, "write a map with rate and others");
      !read)
    return read;
  // Of two ends the one that is given counts.
  if (place.value().find("duration") != nullptr && place.value().find("flows") == nullptr)
    workload.flows = kFlowsMax;
  if (workload.arrivals != Arrivals::bursty)
    for (const std::string_view field : {"burst_on", "burst_off"})
      if (const config::RawValue* given = place.value().find(field); given != nullptr)
        return place.field(*given).fail("belongs to arrivals: bursty",
                                        "leave it out, or add arrivals: bursty");
  return {};
}

}  // namespace nfsteer::experiment
