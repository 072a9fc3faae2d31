def pytest_configure(config):
    config.addinivalue_line("markers", "docker: needs a Docker engine; private-dockerd.sh starts one")
