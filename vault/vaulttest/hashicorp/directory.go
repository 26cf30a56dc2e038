package main

import (
	"crypto/subtle"
	"net"
	"strings"
	"sync"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// LDAP's operations and results (RFC 4511), those that Vault's login needs.
const (
	bindRequest    = 0
	bindResponse   = 1
	searchRequest  = 3
	searchEntry    = 4
	searchDone     = 5
	success        = 0
	badCredentials = 49
)

// directory is a fake LDAP server. It knows people by uid=NAME,ou=people, binds
// them by password and finds each one's own entry; it does nothing else.
type directory struct {
	url string

	mu        sync.Mutex
	passwords map[string]string // by distinguished name
}

func listenLDAP() (*directory, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &directory{url: "ldap://" + listener.Addr().String(), passwords: map[string]string{}}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go d.serve(c)
		}
	}()
	return d, nil
}

func (d *directory) add(user, password string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.passwords["uid="+user+",ou=people"] = password
}

func (d *directory) serve(c net.Conn) {
	defer c.Close()
	for {
		message, err := ber.ReadPacket(c)
		if err != nil || len(message.Children) < 2 {
			return
		}
		id, operation := message.Children[0].Value.(int64), message.Children[1]
		var answers []*ber.Packet
		switch operation.Tag {
		case bindRequest:
			answers = d.bind(operation.Children[1].Value.(string), operation.Children[2].Data.Bytes())
		case searchRequest:
			answers = find(operation.Children[0].Value.(string))
		default: // unbind, or beyond this fake
			return
		}
		for _, a := range answers {
			envelope := ber.NewSequence("message")
			envelope.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, "id"))
			envelope.AppendChild(a)
			if _, err := c.Write(envelope.Bytes()); err != nil {
				return
			}
		}
	}
}

func (d *directory) bind(name string, password []byte) []*ber.Packet {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.passwords[name]
	if !ok || subtle.ConstantTimeCompare([]byte(known), password) != 1 {
		return []*ber.Packet{result(bindResponse, badCredentials)}
	}
	return []*ber.Packet{result(bindResponse, success)}
}

// find answers with the entry of that name: its one attribute is the uid in it.
func find(name string) []*ber.Packet {
	uid, _, _ := strings.Cut(strings.TrimPrefix(name, "uid="), ",")
	values := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "values")
	values.AppendChild(octets(uid))
	attribute, attributes := ber.NewSequence("attribute"), ber.NewSequence("attributes")
	attribute.AppendChild(octets("uid"))
	attribute.AppendChild(values)
	attributes.AppendChild(attribute)
	entry := ber.Encode(ber.ClassApplication, ber.TypeConstructed, searchEntry, nil, "entry")
	entry.AppendChild(octets(name))
	entry.AppendChild(attributes)
	return []*ber.Packet{entry, result(searchDone, success)}
}

func result(operation ber.Tag, code int64) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, operation, nil, "result")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, "code"))
	p.AppendChild(octets("")) // matched name
	p.AppendChild(octets("")) // message
	return p
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}
