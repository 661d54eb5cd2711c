// Loaded before the gateway: its server, which says only a port, listens on loopback alone.
const net = require("node:net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  const done = rest.find((argument) => typeof argument === "function");
  return listen.call(this, { port: Number(port?.port ?? port), host: "127.0.0.1" }, done);
};
