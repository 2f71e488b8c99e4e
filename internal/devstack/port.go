package devstack

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
)

// Free ports are taken from below the range that systems use for outgoing
// connections: a client that redials a server which is down could else be
// given the server's own port, connect to itself and keep the server out.
const lowestFreePort, highestFreePort = 15000, 32000

// FreeAddress is a loopback address that nobody listens on now.
func FreeAddress() (string, error) {
	for range 200 {
		port := lowestFreePort + rand.IntN(highestFreePort-lowestFreePort)
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if available(address) == nil {
			return address, nil
		}
	}
	return "", errors.New("no free port on 127.0.0.1")
}

func available(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// ChooseAddress is the preferred address or, when it is taken, a free one, which
// progress then hears of.
func ChooseAddress(what, preferred string, progress io.Writer) (string, error) {
	return choose(what, preferred, false, progress)
}

// choose gives the preferred address or, when it is taken and need not be
// that one, a free one, and says so. No preference: a free one.
func choose(what, preferred string, fixed bool, progress io.Writer) (string, error) {
	if preferred == "" {
		return FreeAddress()
	}
	err := available(preferred)
	if err == nil {
		return preferred, nil
	}
	if fixed {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	address, free := FreeAddress()
	if free != nil {
		return "", errors.Join(err, free)
	}
	fmt.Fprintf(progress, "%s is in use: %s listens on %s\n", preferred, what, address)
	return address, nil
}
