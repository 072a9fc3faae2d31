#include "engine.hpp"

#include <pybind11/stl.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "api/http_server.hpp"
#include "api/routes.hpp"
#include "bound.hpp"
#include "config/config.hpp"
#include "confine/privileges.hpp"
#include "control/engine.hpp"
#include "process/log.hpp"
#include "values.hpp"

namespace nfsteer::python {
namespace {

namespace asio = boost::asio;
namespace py = pybind11;
using control::Policies;

// What lives on the control thread, made and unmade there.
class Running {
 public:
  static core::Result<std::unique_ptr<Running>> start(asio::io_context& io, config::Config config,
                                                      control::Engine::Source source, bool serves,
                                                      Policies::OwnBuilder build_own) {
    std::unique_ptr<Running> running(new Running(io, config.engine));
    const config::Engine settings = config.engine;
    if (serves) {
      auto server = api::HttpServer::listen(
          io, settings.control,
          [&engine = running->engine_](const api::HttpRequest& request) {
            return api::handle_request(*engine, request);
          },
          settings.control_group);
      if (!server) return tl::unexpected(server.error());
      running->server_ = *std::move(server);
    }
    auto engine = control::Engine::start(io, std::move(config), std::move(source), std::move(build_own));
    if (!engine) return tl::unexpected(engine.error());
    running->engine_ = *std::move(engine);
    running->flush_later();
    return running;
  }

  control::Engine& engine() { return *engine_; }

 private:
  static constexpr std::chrono::seconds kLogFlush{5};

  Running(asio::io_context& io, const config::Engine& settings)
      : log_(process::log_options(settings)), log_flush_(io) {}

  void flush_later() {
    log_flush_.expires_after(kLogFlush);
    log_flush_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      log_.flush();
      flush_later();
    });
  }

  process::Log log_;
  asio::steady_timer log_flush_;
  std::unique_ptr<control::Engine> engine_;
  std::unique_ptr<api::HttpServer> server_;
};

class Engine {
  template <typename Call>
  auto on_control_thread(Call call) {
    if (!thread_.joinable()) throw PolicyError("the engine does not run; start() it, or use `with`");
    if (std::this_thread::get_id() == thread_.get_id())
      throw PolicyError("a policy cannot wait for the engine that waits for it");
    std::promise<decltype(call(running_->engine()))> promise;
    auto outcome = promise.get_future();
    asio::post(*io_, [&] { promise.set_value(call(running_->engine())); });
    return outcome.get();
  }

 public:
  // `text`: YAML; or else `file`: a configuration's path. `serves`: the control socket too.
  Engine(std::optional<std::string> text, std::optional<std::string> file, bool serves,
         const py::dict& objects)
      : text_(std::move(text)), file_(std::move(file)), serves_(serves) {
    own_->add(objects);
  }
  ~Engine() {
    // Python may forget an engine that runs. What stop() says went to the log.
    if (thread_.joinable()) {
      const py::gil_scoped_release unlocked;
      static_cast<void>(end());
    }
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void start() {
    const py::gil_scoped_release unlocked;
    if (thread_.joinable()) throw PolicyError("the engine runs already");
    auto config = load();
    if (!config) throw PolicyError(config.error().line());
    if (auto may = confine::check_privileges(); !may) throw PolicyError(may.error().line());
    io_ = std::make_unique<asio::io_context>(1);
    std::promise<core::Result<void>> started;
    auto outcome = started.get_future();
    thread_ = std::thread(
        [this, &started, config = *std::move(config)]() mutable { run(std::move(config), started); });
    if (auto result = outcome.get(); !result) {
      thread_.join();
      throw PolicyError(result.error().line());
    }
  }

  void stop() {
    const py::gil_scoped_release unlocked;
    if (!thread_.joinable()) return;
    if (auto stopped = end(); !stopped) throw PolicyError(stopped.error().line());
  }

  bool runs() const { return thread_.joinable(); }

  // As over the control socket: the status and the body of the answer.
  std::pair<unsigned, std::string> request(const std::string& method, const std::string& target,
                                           const std::string& body) {
    const py::gil_scoped_release unlocked;
    return on_control_thread([&](control::Engine& engine) {
      api::HttpRequest asked;
      asked.method = method;
      asked.target = target;
      asked.body = body;
      const api::HttpResponse answer = api::handle_request(engine, asked);
      return std::pair(answer.status, answer.body);
    });
  }

  void add_object(const std::string& name, py::object object) { own_->add(name, std::move(object)); }

 private:
  core::Result<config::Config> load() const {
    return text_ ? config::parse_yaml(*text_, "config") : config::load_file(file_.value_or(""));
  }

  control::Engine::Source source() const {
    if (text_) return {};
    return [file = file_.value_or("")] { return config::load_file(file); };
  }

  void run(config::Config config, std::promise<core::Result<void>>& started) {
    auto running =
        Running::start(*io_, std::move(config), source(), serves_,
                       [own = own_](const core::PolicySpec& spec, const policy::BuildInput& input) {
                         return own->build(spec, input);
                       });
    if (!running) {
      started.set_value(tl::unexpected(running.error()));
      return;
    }
    running_ = *std::move(running);
    const auto work = asio::make_work_guard(*io_);
    started.set_value({});
    io_->run();
    running_.reset();
  }

  core::Result<void> end() {
    auto stopped = on_control_thread([](control::Engine& engine) { return engine.stop(); });
    io_->stop();
    thread_.join();
    io_.reset();
    return stopped;
  }

  std::optional<std::string> text_;
  std::optional<std::string> file_;
  bool serves_;
  std::shared_ptr<OwnPolicies> own_ = std::make_shared<OwnPolicies>();
  std::unique_ptr<asio::io_context> io_;
  std::unique_ptr<Running> running_;
  std::thread thread_;
};

}  // namespace

void add_engine(py::module_& module) {
  using namespace py::literals;
  py::class_<Engine>(module, "Engine", "What nfsteer.Engine is made of.")
      .def(py::init<std::optional<std::string>, std::optional<std::string>, bool, py::dict>(), "text"_a,
           "file"_a, "serves"_a, "objects"_a)
      .def("start", &Engine::start)
      .def("stop", &Engine::stop)
      .def_property_readonly("runs", &Engine::runs)
      .def("request", &Engine::request, "method"_a, "target"_a, "body"_a = "")
      .def("add_object", &Engine::add_object, "name"_a, "object"_a);
}

}  // namespace nfsteer::python
