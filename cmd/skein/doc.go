// Command skein is the server and its command-line clients in one binary.
//
// It owns flags, the environment, configuration files, exit codes and what
// people see in a terminal. Everything else happens below: the server's parts
// know nothing of flags, and the clients use the public ports only.
package main
