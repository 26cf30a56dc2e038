// Package door is where requests come in: the workload door, on a unix socket
// and on TCP loopback, and the admin door, on a unix socket only.
//
// A request passes, in this order:
//
//	crowd     how many connections there may be, and whose goes when it is full
//	net/http  times and sizes of headers
//	guard     TCP only: could a web page, another host name or a forwarder have sent this?
//	line      who is at the other end, by the kernel's word
//	queue     how many requests of one caller may wait
//	workload, admin   the routes: read strictly, ask the agent, answer JSON
//
// What fails on the way is answered through Explain, the one table from the
// errors of every other package to codes, descriptions and hints.
package door
